// Projects positions, and reduces lines to the vertices that a zoom level can show.

/** The largest latitude of the Web Mercator projection. */
export const MERCATOR_MAX = 85.0511287798;
/** The circumference of the earth in metres, at the equator. */
export const EARTH_M = 40075016.686;
/** Vertices in a chunk, which is drawn or left out as a whole. */
const CHUNK = 128;

/** Longitudes and latitudes in a square with the side 1, whose origin is its north-west corner. */
export const mercator = {
    isPlanar: false,
    /** @param {number} longitude */
    x: (longitude) => longitude / 360 + 0.5,
    /** @param {number} latitude */
    y: (latitude) => {
        const sine = Math.sin((Math.max(-MERCATOR_MAX, Math.min(MERCATOR_MAX, latitude)) * Math.PI) / 180);
        return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
    },
    /** @param {number} x */
    longitude: (x) => (x - 0.5) * 360,
    /** @param {number} y */
    latitude: (y) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI,
};

/** Planar coordinates, with y downwards. */
export const plane = {
    isPlanar: true,
    x: (/** @type {number} */ x) => x,
    y: (/** @type {number} */ y) => -y,
    longitude: (/** @type {number} */ x) => x,
    latitude: (/** @type {number} */ y) => -y,
};

/** @typedef {typeof mercator | typeof plane} Projection */
/** @typedef {{minX: number, minY: number, maxX: number, maxY: number}} Box */

/**
 * Returns the box around boxes, or null without any.
 * @param {Box[]} boxes
 * @returns {Box | null}
 */
export function unite(boxes) {
    if (boxes.length === 0) {
        return null;
    }
    const made = { minX: Infinity, minY: Infinity, maxX: -Infinity, maxY: -Infinity };
    for (const box of boxes) {
        made.minX = Math.min(made.minX, box.minX);
        made.minY = Math.min(made.minY, box.minY);
        made.maxX = Math.max(made.maxX, box.maxX);
        made.maxY = Math.max(made.maxY, box.maxY);
    }
    return made;
}

/** The vertices of a line that one zoom level shows, and the boxes of their chunks. */
class Level {
    /**
     * @param {Path} path
     * @param {number} tolerance
     */
    constructor(path, tolerance) {
        const kept = [];
        for (let index = 0; index < path.xs.length; index += 1) {
            if (path.weights[index] >= tolerance) {
                kept.push(index);
            }
        }
        this.kept = Int32Array.from(kept);
        /** @type {{from: number, to: number, box: Box}[]} */
        this.chunks = [];
        for (let from = 0; from < kept.length; from += CHUNK) {
            // The leg to the next chunk belongs to this one.
            const to = Math.min(from + CHUNK + 1, kept.length);
            const box = { minX: Infinity, minY: Infinity, maxX: -Infinity, maxY: -Infinity };
            for (let at = from; at < to; at += 1) {
                const [x, y] = [path.xs[kept[at]], path.ys[kept[at]]];
                box.minX = Math.min(box.minX, x);
                box.maxX = Math.max(box.maxX, x);
                box.minY = Math.min(box.minY, y);
                box.maxY = Math.max(box.maxY, y);
            }
            this.chunks.push({ from, to, box });
        }
    }
}

/** A line in projected coordinates. */
export class Path {
    /**
     * Longitudes are continued across the antimeridian, so that they may be outside -180 to 180.
     * @param {Projection} projection
     * @param {[number, number][]} coordinates
     * @param {number[]} starts the indices at which a segment starts
     */
    constructor(projection, coordinates, starts) {
        const count = coordinates.length;
        this.xs = new Float64Array(count);
        this.ys = new Float64Array(count);
        this.isStart = new Uint8Array(count);
        starts.forEach((index) => (this.isStart[index] = 1));
        let [turns, before] = [0, 0];
        coordinates.forEach(([x, y], index) => {
            if (!projection.isPlanar && index > 0) {
                turns += x - before > 180 ? -1 : x - before < -180 ? 1 : 0;
            }
            before = x;
            this.xs[index] = projection.x(x) + turns;
            this.ys[index] = projection.y(y);
        });
        if (count > 0) {
            this.isStart[0] = 1;
        }
        this.weights = weigh(this.xs, this.ys, this.isStart);
        /** @type {Map<number, Level>} */
        this.levels = new Map();
        const whole = new Level(this, 0);
        this.levels.set(Infinity, whole);
        this.box = unite(whole.chunks.map(({ box }) => box));
    }

    /**
     * Returns the level for a scale of 2^zoom pixels for each unit. No vertex that is left out is farther than a pixel from the
     * line.
     * @param {number} zoom an integer
     */
    level(zoom) {
        const known = this.levels.get(zoom);
        if (known) {
            return known;
        }
        const made = new Level(this, 0.75 / 2 ** zoom);
        this.levels.set(zoom, made);
        return made;
    }
}

/**
 * Returns for each vertex the distance that the line moves without it (Douglas and Peucker 1973), at most that of the vertices
 * between which it lies. The ends of segments have infinite weights.
 * @param {Float64Array} xs
 * @param {Float64Array} ys
 * @param {Uint8Array} isStart
 */
function weigh(xs, ys, isStart) {
    const weights = new Float64Array(xs.length);
    /** @type {[number, number, number][]} */
    const open = [];
    let from = 0;
    for (let index = 1; index <= xs.length; index += 1) {
        if (index === xs.length || isStart[index]) {
            weights[from] = weights[index - 1] = Infinity;
            open.push([from, index - 1, Infinity]);
            from = index;
        }
    }
    for (let next = open.pop(); next; next = open.pop()) {
        const [first, last, limit] = next;
        if (last - first < 2) {
            continue;
        }
        const [dx, dy] = [xs[last] - xs[first], ys[last] - ys[first]];
        const square = dx * dx + dy * dy;
        let [farthest, distance] = [first + 1, -1];
        for (let index = first + 1; index < last; index += 1) {
            const [x, y] = [xs[index] - xs[first], ys[index] - ys[first]];
            const along = square > 0 ? Math.max(0, Math.min(1, (x * dx + y * dy) / square)) : 0;
            const [ex, ey] = [x - along * dx, y - along * dy];
            const squared = ex * ex + ey * ey;
            if (squared > distance) {
                [farthest, distance] = [index, squared];
            }
        }
        const weight = Math.min(Math.sqrt(distance), limit);
        weights[farthest] = weight;
        open.push([first, farthest, weight], [farthest, last, weight]);
    }
    return weights;
}

/**
 * Decodes the rings of the outline of the land to projected coordinates.
 * @param {string} text
 * @returns {{xs: Float64Array, ys: Float64Array, minX: number, maxX: number}[]}
 */
export function decodeRings(text) {
    return text.split(" ").map((ring) => {
        /** @type {[number[], number[]]} */
        const axes = [[], []];
        const sums = [0, 0];
        let [axis, value, shift] = [0, 0, 0];
        for (let at = 0; at < ring.length; at += 1) {
            const bits = ring.charCodeAt(at) - 63;
            value |= (bits & 0x1f) << shift;
            shift += 5;
            if (bits < 0x20) {
                sums[axis] += value & 1 ? ~(value >> 1) : value >> 1;
                axes[axis].push(sums[axis] / 100);
                [axis, value, shift] = [1 - axis, 0, 0];
            }
        }
        const [xs, ys] = [Float64Array.from(axes[0], mercator.x), Float64Array.from(axes[1], mercator.y)];
        return { xs, ys, minX: Math.min(...xs), maxX: Math.max(...xs) };
    });
}

/**
 * Returns the largest of 1, 2 and 5 times a power of ten that is at most a value.
 * @param {number} value
 */
export function roundDown(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    const digit = value / power;
    return (digit >= 5 ? 5 : digit >= 2 ? 2 : 1) * power;
}
