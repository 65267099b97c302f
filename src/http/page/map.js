// The map: a canvas with the outline of the land, a graticule, optional tiles, lines, and markers.

import { announce, element } from "./dom.js";
import { formatLength, formatPosition, formatRoundLength } from "./format.js";
import { EARTH_M, MERCATOR_MAX, Path, decodeRings, mercator, plane, roundDown, unite } from "./geometry.js";
import { LAND } from "./land.js";

/** Maximum number of vertices in a frame while the map moves, and when it rests. */
const MOVING_VERTICES_MAX = 12000;
const RESTING_VERTICES_MAX = 60000;
/** While the map moves, a frame with more vertices has thin lines. */
const PLAIN_VERTICES_MIN = 3000;
/** The time after the first frame since the last movement until the map rests. */
const REST_MS = 160;
const TILE_SIZE = 256;
const TILE_ZOOM_MAX = 19;
/** The zoom level from which on the outline of the land is not drawn. */
const LAND_ZOOM_MAX = 8;
/** Maximum number of tiles that are kept. */
const TILES_MAX = 256;
/** The time after which a tile that failed is requested again. It doubles with each failure, up to the maximum. */
const TILE_RETRY_MS = 5000;
const TILE_RETRY_MS_MAX = 300000;
const MARGIN = 28;
/** The scale above which the map does not move on its own to a box that it keeps in view, about a metre for each pixel. */
const KEPT_SCALE_MAX = TILE_SIZE * 2 ** 17;
/** Maximum number of letters of a label. */
const LABEL_LETTERS_MAX = 28;
const SCALE_FONT = "12px system-ui, sans-serif";

/** @type {ReturnType<typeof decodeRings> | null} */
let landRings = null;

/**
 * A line on the map.
 * @typedef {object} MapLine
 * @property {Path} path the accepted points
 * @property {Path | null} rawPath all points, if some of them are rejected
 * @property {Path} vertices all points
 * @property {{x: number, y: number}[]} rejected
 * @property {string} color the name of a custom property of CSS
 * @property {number} key
 */
/** @typedef {{x: number, y: number, color: string, label: string, isOld: boolean}} MapMarker */
/** A rectangle on the canvas. @typedef {{left: number, right: number, top: number, bottom: number}} Frame */
/** @typedef {{image: HTMLImageElement, failures: number, isDue: boolean}} MapTile */

export class MapView {
    /**
     * @param {HTMLElement} parent
     * @param {string} label
     * @param {PageData} settings
     */
    constructor(parent, label, settings) {
        this.label = label;
        this.settings = settings;
        /** @type {import("./geometry.js").Projection} */
        this.projection = mercator;
        /** @type {MapLine[]} */
        this.lines = [];
        /** @type {MapMarker[]} */
        this.markers = [];
        /** @type {{line: MapLine, index: number} | null} */
        this.cursor = null;
        /** @type {((line: MapLine | null, index: number) => void) | null} */
        this.onPoint = null;
        this.selected = -1;
        this.view = { x: 0.5, y: 0.5, scale: 256 };
        this.size = { width: 0, height: 0, ratio: 1 };
        /** The drawn frames, and the times that drawing them took, for tests. */
        this.frames = { count: 0, vertices: 0, milliseconds: /** @type {number[]} */ ([]) };
        this.isMoving = false;
        /** @type {ReturnType<typeof setTimeout> | undefined} */
        this.restTimer = undefined;
        this.isWaiting = false;
        this.isFitted = true;
        /** The box that the map keeps in view until the user moves the map. */
        /** @type {import("./geometry.js").Box | null} */
        this.kept = null;
        /** Reports that the user has moved the map. */
        /** @type {(() => void) | null} */
        this.onMoved = null;
        /** @type {Map<string, MapTile>} */
        this.tiles = new Map();
        /** @type {Map<number, {x: number, y: number}>} */
        this.pointers = new Map();
        this.colors = readColors();

        this.canvas = element("canvas", {
            tabindex: 0,
            role: "img",
            "aria-label": label,
            "aria-keyshortcuts": "+ - 0 ArrowUp ArrowDown ArrowLeft ArrowRight",
        });
        const context = this.canvas.getContext("2d");
        if (!context) {
            throw new Error("the browser has no canvas");
        }
        this.context = context;
        const button = (/** @type {string} */ text, /** @type {string} */ name, /** @type {() => void} */ act) =>
            element("button", { type: "button", "aria-label": name, title: name, onclick: act }, text);
        const controls = element(
            "div",
            { class: "map-buttons" },
            button("+", "Zoom in", () => this.zoomBy(2)),
            button("−", "Zoom out", () => this.zoomBy(0.5)),
            button("⤢", "Show everything", () => this.showAll()),
        );
        // There are tiles on the map before there are lines.
        this.attribution = element("p", { class: "attribution" }, this.creditText());
        parent.append(this.canvas, controls, this.attribution);
        this.listen();
        new ResizeObserver(() => this.resize()).observe(this.canvas);
        for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
            matchMedia(query).addEventListener("change", () => {
                this.colors = readColors();
                this.draw();
            });
        }
    }

    /**
     * Shows lines. Keeps the view if the same file is shown again.
     * @param {MapLine[]} lines
     * @param {boolean} isPlanar
     * @param {boolean} keepsView
     */
    setLines(lines, isPlanar, keepsView) {
        const projection = isPlanar ? plane : mercator;
        const isOther = projection !== this.projection;
        this.projection = projection;
        this.lines = lines;
        this.cursor = null;
        this.attribution.textContent = isPlanar ? "" : this.creditText();
        if (!keepsView || isOther) {
            this.fit();
        }
        this.draw();
    }

    creditText() {
        const { tiles, tiles_attribution: credit } = this.settings;
        return tiles ? credit ?? "" : "Land: Natural Earth";
    }

    /** @param {MapMarker[]} markers */
    setMarkers(markers) {
        this.markers = markers;
        if (this.isFitted) {
            this.fit();
        }
        this.draw();
    }

    /**
     * @param {number} key the line to emphasize, or -1
     * @param {boolean} shows whether to move the view to it
     */
    select(key, shows) {
        this.selected = key;
        const line = this.lines.find((candidate) => candidate.key === key);
        if (shows && line?.vertices.box) {
            this.fitBox(line.vertices.box);
        }
        this.draw();
    }

    /**
     * @param {MapLine | null} line
     * @param {number} index
     */
    setCursor(line, index) {
        this.cursor = line ? { line, index } : null;
        this.draw();
    }

    /** Moves the view to all lines and markers. */
    fit() {
        const boxes = this.lines.map((line) => line.vertices.box).filter((box) => box !== null);
        const points = this.markers.map(({ x, y }) => ({ minX: x, maxX: x, minY: y, maxY: y }));
        const all = unite([...boxes, ...points]);
        this.fitBox(all ?? { minX: 0, maxX: 1, minY: mercator.y(72), maxY: mercator.y(-56) });
        this.isFitted = true;
        this.kept = null;
    }

    /** Shows everything because the user requested it, and stops following the recording. */
    showAll() {
        this.fit();
        this.onMoved?.();
    }

    /**
     * Keeps a box in view until the user moves the map: moves the view if a part of the box is outside.
     * @param {import("./geometry.js").Box} box
     * @param {boolean} fits whether to move the view also if the box is inside
     */
    keep(box, fits) {
        this.isFitted = false;
        this.kept = box;
        const [dx, dy] = [this.size.width, this.size.height].map((size) => Math.max(size / 2 - MARGIN / 2, 0) / this.view.scale);
        const { x, y } = this.view;
        const isInside = box.minX >= x - dx && box.maxX <= x + dx && box.minY >= y - dy && box.maxY <= y + dy;
        if (fits || !isInside) {
            this.fitBox(box, this.projection.isPlanar ? Infinity : KEPT_SCALE_MAX);
        }
    }

    /**
     * @param {import("./geometry.js").Box} box
     * @param {number} scaleMax
     */
    fitBox(box, scaleMax = Infinity) {
        const { width, height } = this.size;
        const span = (/** @type {number} */ length, /** @type {number} */ pixels) =>
            Math.max(pixels - 2 * MARGIN, 32) / Math.max(length, 1e-12);
        const scale = Math.min(span(box.maxX - box.minX, width), span(box.maxY - box.minY, height), scaleMax);
        const isPoint = box.maxX === box.minX && box.maxY === box.minY;
        const pointScale = this.projection.isPlanar ? 100 : TILE_SIZE * 2 ** 13;
        this.view = {
            x: (box.minX + box.maxX) / 2,
            y: (box.minY + box.maxY) / 2,
            scale: this.limit(isPoint ? pointScale : scale),
        };
        this.draw();
    }

    /** @param {number} scale */
    limit(scale) {
        if (this.projection.isPlanar) {
            return Math.max(1e-12, Math.min(1e9, scale));
        }
        return Math.max(TILE_SIZE / 2, Math.min(TILE_SIZE * 2 ** 22, scale));
    }

    /**
     * @param {number} factor
     * @param {number} [x] the point on the screen that stays where it is
     * @param {number} [y]
     */
    zoomBy(factor, x = this.size.width / 2, y = this.size.height / 2) {
        const { width, height } = this.size;
        const scale = this.limit(this.view.scale * factor);
        const change = 1 / this.view.scale - 1 / scale;
        this.view = {
            x: this.view.x + (x - width / 2) * change,
            y: this.view.y + (y - height / 2) * change,
            scale,
        };
        this.moved();
    }

    /**
     * @param {number} dx pixels
     * @param {number} dy
     */
    panBy(dx, dy) {
        this.view.x -= dx / this.view.scale;
        this.view.y -= dy / this.view.scale;
        if (!this.projection.isPlanar) {
            this.view.y = Math.max(0, Math.min(1, this.view.y));
        }
        this.moved();
    }

    moved() {
        this.isFitted = false;
        this.kept = null;
        this.onMoved?.();
        this.isMoving = true;
        clearTimeout(this.restTimer);
        this.restTimer = undefined;
        this.draw();
    }

    /** Draws the map in full detail after a time without a movement. */
    restSoon() {
        this.restTimer = setTimeout(() => {
            this.restTimer = undefined;
            this.isMoving = false;
            this.draw();
        }, REST_MS);
    }

    listen() {
        const { canvas } = this;
        const at = (/** @type {MouseEvent} */ event) => {
            const box = canvas.getBoundingClientRect();
            return { x: event.clientX - box.left, y: event.clientY - box.top };
        };
        canvas.addEventListener("pointerdown", (event) => {
            if (event.button !== 0) {
                return;
            }
            canvas.setPointerCapture(event.pointerId);
            this.pointers.set(event.pointerId, at(event));
        });
        canvas.addEventListener("pointermove", (event) => {
            if ((event.buttons & 1) === 0) {
                // A menu or another window may have received the end of the press.
                this.pointers.delete(event.pointerId);
            }
            const before = this.pointers.get(event.pointerId);
            const now = at(event);
            if (!before) {
                this.point(now.x, now.y);
                return;
            }
            const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
            if (now.x === before.x && now.y === before.y) {
                // A browser may report a click as a movement of no pixels.
                return;
            }
            if (other) {
                const spread = (/** @type {{x: number, y: number}} */ place) =>
                    Math.max(1, Math.hypot(place.x - other.x, place.y - other.y));
                this.panBy((now.x - before.x) / 2, (now.y - before.y) / 2);
                this.zoomBy(spread(now) / spread(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
            } else {
                this.panBy(now.x - before.x, now.y - before.y);
            }
            this.pointers.set(event.pointerId, now);
        });
        for (const name of ["pointerup", "pointercancel"]) {
            canvas.addEventListener(name, (event) => {
                this.pointers.delete(/** @type {PointerEvent} */ (event).pointerId);
            });
        }
        canvas.addEventListener("pointerleave", () => this.onPoint?.(null, 0));
        canvas.addEventListener("dblclick", (event) => this.zoomBy(2, at(event).x, at(event).y));
        canvas.addEventListener(
            "wheel",
            (event) => {
                // The wheel scrolls the page until the map has the focus.
                if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) {
                    return;
                }
                event.preventDefault();
                const pixels = event.deltaMode === 1 ? event.deltaY * 20 : event.deltaY;
                this.zoomBy(2 ** (-Math.max(-200, Math.min(200, pixels)) / 200), at(event).x, at(event).y);
            },
            { passive: false },
        );
        canvas.addEventListener("keydown", (event) => {
            /** @type {Record<string, () => void>} */
            const actions = {
                "+": () => this.zoomBy(2),
                "=": () => this.zoomBy(2),
                "-": () => this.zoomBy(0.5),
                0: () => this.showAll(),
                ArrowLeft: () => this.panBy(64, 0),
                ArrowRight: () => this.panBy(-64, 0),
                ArrowUp: () => this.panBy(0, 64),
                ArrowDown: () => this.panBy(0, -64),
            };
            const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : actions[event.key];
            if (action) {
                event.preventDefault();
                action();
                announce(this.description());
            }
        });
    }

    /**
     * Reports the vertex nearest to a point of the screen, at most 24 pixels away.
     * @param {number} x
     * @param {number} y
     */
    point(x, y) {
        if (!this.onPoint) {
            return;
        }
        let [best, bestIndex, least] = [/** @type {MapLine | null} */ (null), 0, 24 * 24];
        for (const line of this.lines) {
            for (const turn of this.turns(line.vertices.box)) {
                const { xs, ys } = line.vertices;
                for (let index = 0; index < xs.length; index += 1) {
                    const [dx, dy] = [this.screenX(xs[index] + turn) - x, this.screenY(ys[index]) - y];
                    const square = dx * dx + dy * dy;
                    if (square < least) {
                        [best, bestIndex, least] = [line, index, square];
                    }
                }
            }
        }
        this.onPoint(best, bestIndex);
    }

    /** @param {number} x */
    screenX(x) {
        return (x - this.view.x) * this.view.scale + this.size.width / 2;
    }

    /** @param {number} y */
    screenY(y) {
        return (y - this.view.y) * this.view.scale + this.size.height / 2;
    }

    /** Returns the part of the plane that is visible, with a margin for the width of lines. */
    visible() {
        const { x, y, scale } = this.view;
        const [dx, dy] = [(this.size.width / 2 + 8) / scale, (this.size.height / 2 + 8) / scale];
        return { minX: x - dx, maxX: x + dx, minY: y - dy, maxY: y + dy };
    }

    /**
     * Returns the whole turns around the earth by which a box is visible.
     * @param {import("./geometry.js").Box | null} box
     */
    turns(box) {
        const visible = this.visible();
        if (!box || box.maxY < visible.minY || box.minY > visible.maxY) {
            return [];
        }
        if (this.projection.isPlanar) {
            return box.maxX < visible.minX || box.minX > visible.maxX ? [] : [0];
        }
        const turns = [];
        for (let turn = Math.ceil(visible.minX - box.maxX); turn <= visible.maxX - box.minX && turns.length < 8; turn += 1) {
            turns.push(turn);
        }
        return turns;
    }

    resize() {
        const { clientWidth: width, clientHeight: height } = this.canvas;
        const ratio = Math.min(devicePixelRatio || 1, 2);
        if (width === this.size.width && height === this.size.height && ratio === this.size.ratio) {
            return;
        }
        this.size = { width, height, ratio };
        this.canvas.width = Math.round(width * ratio);
        this.canvas.height = Math.round(height * ratio);
        if (this.isFitted) {
            this.fit();
        } else if (this.kept) {
            this.keep(this.kept, true);
        }
        this.draw();
    }

    /** Draws the map in the next frame. */
    draw() {
        if (!this.isWaiting) {
            this.isWaiting = true;
            requestAnimationFrame(() => {
                this.isWaiting = false;
                this.render();
                // If the time started with the movement, a slow machine would draw each frame of a movement in full detail.
                if (this.isMoving && this.restTimer === undefined) {
                    this.restSoon();
                }
            });
        }
    }

    render() {
        const { context, colors } = this;
        const { width, height, ratio } = this.size;
        if (width === 0 || height === 0) {
            return;
        }
        const start = performance.now();
        context.setTransform(ratio, 0, 0, ratio, 0, 0);
        context.fillStyle = colors.land;
        context.fillRect(0, 0, width, height);
        if (!this.projection.isPlanar) {
            this.drawLand();
            this.drawTiles();
        }
        const bar = this.scaleBar();
        this.drawGraticule(bar.frame);
        this.frames.vertices = this.drawLines(this.isMoving ? MOVING_VERTICES_MAX : RESTING_VERTICES_MAX);
        this.drawRejected();
        this.drawMarkers(bar.frame);
        this.drawScale(bar);
        this.canvas.setAttribute("aria-label", this.description());
        this.frames.count += 1;
        this.frames.milliseconds.push(performance.now() - start);
        if (this.frames.milliseconds.length > 600) {
            this.frames.milliseconds.shift();
        }
    }

    drawLand() {
        const { context, colors } = this;
        landRings ??= decodeRings(LAND);
        const visible = this.visible();
        // Near the ground, the outline is too coarse to be right.
        const fade = Math.max(0, Math.min(1, LAND_ZOOM_MAX - Math.log2(this.view.scale / TILE_SIZE)));
        if (fade === 0) {
            return;
        }
        context.globalAlpha = fade;
        context.fillStyle = colors.water;
        context.fillRect(0, 0, this.size.width, this.size.height);
        context.fillStyle = colors.land;
        context.strokeStyle = colors.coast;
        context.lineWidth = 1;
        context.beginPath();
        // Rings may be up to a turn outside of their part of the plane.
        for (let turn = Math.floor(visible.minX) - 1; turn <= visible.maxX + 1; turn += 1) {
            for (const { xs, ys, minX, maxX } of landRings) {
                if (maxX + turn < visible.minX || minX + turn > visible.maxX) {
                    continue;
                }
                for (let index = 0; index < xs.length; index += 1) {
                    const [x, y] = [this.screenX(xs[index] + turn), this.screenY(ys[index])];
                    if (index === 0) {
                        context.moveTo(x, y);
                    } else {
                        context.lineTo(x, y);
                    }
                }
                context.closePath();
            }
        }
        context.fill("evenodd");
        context.stroke();
        context.globalAlpha = 1;
    }

    drawTiles() {
        const { tiles: template } = this.settings;
        if (!template) {
            return;
        }
        const { context, view } = this;
        const exact = Math.log2(view.scale / TILE_SIZE);
        const zoom = Math.max(0, Math.min(TILE_ZOOM_MAX, Math.round(exact)));
        const count = 2 ** zoom;
        const visible = this.visible();
        const [top, bottom] = [Math.max(0, visible.minY), Math.min(1 - 1e-9, visible.maxY)];
        const side = view.scale / count;
        for (let row = Math.floor(top * count); row <= bottom * count; row += 1) {
            for (let column = Math.floor(visible.minX * count); column <= visible.maxX * count; column += 1) {
                const wrapped = ((column % count) + count) % count;
                const url = template
                    .replace("{z}", String(zoom))
                    .replace("{x}", String(wrapped))
                    .replace("{y}", String(row));
                const { image } = this.tile(url);
                if (image.complete && image.naturalWidth > 0) {
                    const [x, y] = [this.screenX(column / count), this.screenY(row / count)];
                    context.drawImage(image, x, y, side + 0.5, side + 0.5);
                }
            }
        }
    }

    /** @param {string} url */
    tile(url) {
        const known = this.tiles.get(url);
        const tile = known && !known.isDue ? known : this.requestTile(url, known?.failures ?? 0);
        // The tile that was used last is at the end.
        this.tiles.delete(url);
        this.tiles.set(url, tile);
        while (this.tiles.size > TILES_MAX) {
            this.tiles.delete([...this.tiles.keys()][0]);
        }
        return tile;
    }

    /**
     * @param {string} url
     * @param {number} failures the number of requests that have failed
     */
    requestTile(url, failures) {
        const tile = { image: new Image(), failures, isDue: false };
        tile.image.addEventListener("load", () => this.draw());
        tile.image.addEventListener("error", () => {
            tile.failures += 1;
            setTimeout(
                () => {
                    tile.isDue = true;
                    this.draw();
                },
                Math.min(TILE_RETRY_MS * 2 ** failures, TILE_RETRY_MS_MAX),
            );
        });
        tile.image.src = url;
        return tile;
    }

    /** @param {Frame} bar the frame of the scale bar, which no label may cover */
    drawGraticule(bar) {
        const { context, colors, projection } = this;
        const { width, height } = this.size;
        const visible = this.visible();
        const step = projection.isPlanar
            ? roundDown(160 / this.view.scale)
            : Math.min(30, roundDown((360 * 160) / this.view.scale));
        const [west, east] = [projection.longitude(visible.minX), projection.longitude(visible.maxX)];
        const [south, north] = [projection.latitude(visible.maxY), projection.latitude(visible.minY)];
        const digits = Math.max(0, -Math.floor(Math.log10(step)));
        context.strokeStyle = colors.graticule;
        context.fillStyle = colors.muted;
        context.lineWidth = 1;
        context.font = "11px system-ui, sans-serif";
        context.beginPath();
        /** @type {[string, number, number][]} */
        const texts = [];
        for (const value of multiples(west, east, step)) {
            const x = Math.round(this.screenX(projection.x(value))) + 0.5;
            context.moveTo(x, 0);
            context.lineTo(x, height);
            const wrapped = projection.isPlanar ? value : ((((value + 180) % 360) + 360) % 360) - 180;
            texts.push([degrees(wrapped, digits, projection.isPlanar ? "" : "EW"), x + 4, 14]);
        }
        for (const latitude of multiples(south, north, step)) {
            if (!projection.isPlanar && Math.abs(latitude) > MERCATOR_MAX) {
                continue;
            }
            const y = Math.round(this.screenY(projection.y(latitude))) + 0.5;
            context.moveTo(0, y);
            context.lineTo(width, y);
            texts.push([degrees(latitude, digits, projection.isPlanar ? "" : "NS"), 5, y - 4]);
        }
        context.stroke();
        for (const [text, x, y] of texts) {
            if (touches({ left: x, right: x + context.measureText(text).width, top: y - 10, bottom: y + 3 }, bar)) {
                continue;
            }
            if (x < width - 60 && y > 24) {
                context.fillText(text, x, y);
            } else if (y === 14 && x > 60 && x < width - 110) {
                context.fillText(text, x, y);
            }
        }
    }

    /**
     * Draws the lines with at most this many vertices. Returns the number.
     * @param {number} limit
     */
    drawLines(limit) {
        const visible = this.visible();
        let zoom = Math.ceil(Math.log2(this.view.scale));
        let parts = this.parts(visible, zoom);
        let count = parts.reduce((sum, part) => sum + part.to - part.from, 0);
        for (let tries = 0; count > limit && tries < 24; tries += 1) {
            zoom -= 1;
            parts = this.parts(visible, zoom);
            count = parts.reduce((sum, part) => sum + part.to - part.from, 0);
        }
        const { context, colors } = this;
        // Wide strokes with round joins are the most expensive part of a frame with many vertices.
        const isPlain = this.isMoving && count > PLAIN_VERTICES_MIN;
        context.lineJoin = isPlain ? "bevel" : "round";
        context.lineCap = isPlain ? "butt" : "round";
        // One stroke for all parts of a style.
        /** @type {Map<string, typeof parts>} */
        const styles = new Map();
        for (const part of parts) {
            const style = part.isRaw ? "raw" : `${part.line.key === this.selected ? 1 : 0} ${part.line.color}`;
            const list = styles.get(style) ?? [];
            list.push(part);
            styles.set(style, list);
        }
        for (const style of [...styles.keys()].sort((a, b) => (a === "raw" ? -1 : b === "raw" ? 1 : a < b ? -1 : 1))) {
            const list = styles.get(style) ?? [];
            context.beginPath();
            for (const part of list) {
                this.trace(part);
            }
            if (style === "raw") {
                context.strokeStyle = colors.rejected;
                context.lineWidth = 1;
                context.stroke();
                continue;
            }
            const isFaint = this.selected >= 0 && !style.startsWith("1");
            if (!isFaint && !isPlain) {
                context.strokeStyle = colors.halo;
                context.lineWidth = 5;
                context.stroke();
            }
            context.globalAlpha = isFaint ? 0.55 : 1;
            context.strokeStyle = colors[style.slice(2)] ?? colors.track0;
            context.lineWidth = isPlain ? 1 : isFaint ? 1.5 : 2.5;
            context.stroke();
            context.globalAlpha = 1;
        }
        return count;
    }

    /**
     * Returns the parts of lines in a box at a zoom level.
     * @param {import("./geometry.js").Box} visible
     * @param {number} zoom
     */
    parts(visible, zoom) {
        /** @type {{line: MapLine, path: Path, kept: Int32Array, from: number, to: number, turn: number, isRaw: boolean}[]} */
        const parts = [];
        for (const line of this.lines) {
            for (const path of line.rawPath ? [line.rawPath, line.path] : [line.path]) {
                for (const turn of this.turns(path.box)) {
                    const { kept, chunks } = path.level(zoom);
                    for (const { from, to, box } of chunks) {
                        const isOutside =
                            box.maxX + turn < visible.minX ||
                            box.minX + turn > visible.maxX ||
                            box.maxY < visible.minY ||
                            box.minY > visible.maxY;
                        if (!isOutside) {
                            parts.push({ line, path, kept, from, to, turn, isRaw: path === line.rawPath });
                        }
                    }
                }
            }
        }
        return parts;
    }

    /** @param {{path: Path, kept: Int32Array, from: number, to: number, turn: number}} part */
    trace({ path, kept, from, to, turn }) {
        const { context } = this;
        for (let at = from; at < to; at += 1) {
            const index = kept[at];
            const [x, y] = [this.screenX(path.xs[index] + turn), this.screenY(path.ys[index])];
            if (at === from || path.isStart[index]) {
                context.moveTo(x, y);
            } else {
                context.lineTo(x, y);
            }
        }
    }

    /** Draws crosses at rejected points, at most one in a square of 10 pixels. */
    drawRejected() {
        const { context, colors } = this;
        const { width, height } = this.size;
        const taken = new Set();
        context.strokeStyle = colors.rejected;
        context.lineWidth = 1.5;
        context.beginPath();
        for (const line of this.lines) {
            for (const turn of line.rejected.length > 0 ? this.turns(line.vertices.box) : []) {
                for (const place of line.rejected) {
                    const [x, y] = [this.screenX(place.x + turn), this.screenY(place.y)];
                    const cell = Math.floor(x / 10) * 10000 + Math.floor(y / 10);
                    if (x < -6 || y < -6 || x > width + 6 || y > height + 6 || taken.has(cell)) {
                        continue;
                    }
                    taken.add(cell);
                    context.moveTo(x - 3, y - 3);
                    context.lineTo(x + 3, y + 3);
                    context.moveTo(x + 3, y - 3);
                    context.lineTo(x - 3, y + 3);
                }
            }
        }
        context.stroke();
    }

    /** @param {Frame} bar the frame of the scale bar */
    drawMarkers(bar) {
        const { context, colors } = this;
        const dot = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ radius, /** @type {string} */ fill) => {
            context.beginPath();
            context.arc(x, y, radius, 0, 2 * Math.PI);
            context.fillStyle = fill;
            context.strokeStyle = colors.halo;
            context.lineWidth = 2;
            context.fill();
            context.stroke();
        };
        for (const line of this.lines.length <= 12 ? this.lines : []) {
            const { xs, ys, box } = line.vertices;
            const last = xs.length - 1;
            for (const turn of xs.length > 0 ? this.turns(box) : []) {
                dot(this.screenX(xs[0] + turn), this.screenY(ys[0]), 4.5, colors.paper);
                dot(this.screenX(xs[last] + turn), this.screenY(ys[last]), 4.5, colors[line.color] ?? colors.track0);
            }
        }
        // The selected marker is above the others, and its label has precedence.
        const markers = [...this.markers].sort((a, b) => Number(a.color === "cursor") - Number(b.color === "cursor"));
        /** @type {[string, number, number][]} */
        const labels = [];
        for (const { x, y, color, label, isOld } of markers) {
            for (const turn of this.turns({ minX: x, maxX: x, minY: y, maxY: y })) {
                const [sx, sy] = [this.screenX(x + turn), this.screenY(y)];
                context.globalAlpha = isOld ? 0.6 : 1;
                dot(sx, sy, 7, colors[color] ?? colors.track0);
                context.globalAlpha = 1;
                labels.push([label, sx, sy]);
            }
        }
        this.drawLabels(labels.reverse(), bar);
        if (this.cursor) {
            const { xs, ys, box } = this.cursor.line.vertices;
            const { index } = this.cursor;
            for (const turn of this.turns(box)) {
                dot(this.screenX(xs[index] + turn), this.screenY(ys[index]), 7, colors.cursor);
            }
        }
    }

    /**
     * Draws labels next to their points, on the side that has space, and above the scale bar. A label that would cover an earlier one is
     * left out.
     * @param {[string, number, number][]} labels
     * @param {Frame} bar the frame of the scale bar
     */
    drawLabels(labels, bar) {
        const { context, colors } = this;
        /** @type {Frame[]} */
        const drawn = [];
        context.font = "600 12px system-ui, sans-serif";
        context.strokeStyle = colors.halo;
        context.lineWidth = 4;
        context.fillStyle = colors.ink;
        for (const [label, x, y] of labels) {
            const letters = [...label];
            const text = letters.length > LABEL_LETTERS_MAX ? `${letters.slice(0, LABEL_LETTERS_MAX - 1).join("")}…` : label;
            const width = context.measureText(text).width;
            const isRight = x + 11 + width <= this.size.width - 4 || x - 11 - width < 4;
            const left = isRight ? x + 11 : x - 11 - width;
            const frameAt = (/** @type {number} */ middle) => ({ left: left - 2, right: left + width + 2, top: middle - 7, bottom: middle + 7 });
            const middle = touches(frameAt(y), bar) ? bar.top - 10 : y;
            const frame = frameAt(middle);
            if (!drawn.some((other) => touches(frame, other))) {
                drawn.push(frame);
                context.strokeText(text, left, middle + 4);
                context.fillText(text, left, middle + 4);
            }
        }
    }

    /** Returns the length of a pixel in the middle of the map. */
    unitsPerPixel() {
        const { y, scale } = this.view;
        if (this.projection.isPlanar) {
            return 1 / scale;
        }
        return (EARTH_M * Math.cos((mercator.latitude(y) * Math.PI) / 180)) / scale;
    }

    /** Returns the scale bar: its text, its length and its frame. */
    scaleBar() {
        const { context } = this;
        const unit = this.unitsPerPixel();
        const length = roundDown(unit * 120);
        const pixels = length / unit;
        const text = formatRoundLength(length, this.projection.isPlanar);
        context.font = SCALE_FONT;
        const right = 18 + Math.max(pixels, context.measureText(text).width);
        return { text, pixels, frame: { left: 6, right, top: this.size.height - 36, bottom: this.size.height - 6 } };
    }

    /** @param {ReturnType<MapView["scaleBar"]>} bar */
    drawScale({ text, pixels, frame }) {
        const { context, colors } = this;
        const [left, bottom] = [frame.left + 6, frame.bottom - 8];
        context.font = SCALE_FONT;
        context.fillStyle = colors.scale;
        context.fillRect(frame.left, frame.top, frame.right - frame.left, frame.bottom - frame.top);
        context.strokeStyle = context.fillStyle = colors.ink;
        context.lineWidth = 1.5;
        context.beginPath();
        context.moveTo(left, bottom - 5);
        context.lineTo(left, bottom);
        context.lineTo(left + pixels, bottom);
        context.lineTo(left + pixels, bottom - 5);
        context.stroke();
        context.fillText(text, left + 3, bottom - 8);
    }

    /** Returns the text for people who do not see the map. */
    description() {
        const { x, y } = this.view;
        const { projection } = this;
        const place = projection.isPlanar
            ? `${projection.longitude(x).toPrecision(6)}, ${projection.latitude(y).toPrecision(6)}`
            : formatPosition(((((projection.longitude(x) + 180) % 360) + 360) % 360) - 180, projection.latitude(y));
        const width = formatLength(this.unitsPerPixel() * this.size.width, projection.isPlanar);
        const count = this.lines.length + this.markers.length;
        return `${this.label}: ${count} shown, centre ${place}, width ${width}. Arrow keys move, plus and minus zoom, 0 shows everything.`;
    }
}

/**
 * @param {Frame} a
 * @param {Frame} b
 */
function touches(a, b) {
    return a.left < b.right && a.right > b.left && a.top < b.bottom && a.bottom > b.top;
}

/**
 * @param {number} value
 * @param {number} digits
 * @param {string} sides
 */
function degrees(value, digits, sides) {
    const text = (sides ? Math.abs(value) : value).toFixed(Math.min(digits, 9));
    const isZero = Number(text) === 0 || (sides === "EW" && Number(text) === 180);
    return sides ? `${text}°${isZero ? "" : ` ${value < 0 ? sides[1] : sides[0]}`}` : text;
}

/** Reads the colours of the style sheet. */
function readColors() {
    const style = getComputedStyle(document.documentElement);
    const names = ["water", "land", "coast", "graticule", "halo", "rejected", "cursor", "ink", "muted", "paper", "scale"];
    /** @type {Record<string, string>} */
    const colors = {};
    for (const name of [...names, "track0", "track1", "track2", "track3", "track4", "track5"]) {
        colors[name] = style.getPropertyValue(`--${name}`).trim();
    }
    return colors;
}

/**
 * Returns the multiples of a step in a range, at most 60. Returns no multiples far from 0, where numbers cannot represent them.
 * @param {number} from
 * @param {number} to
 * @param {number} step
 */
function multiples(from, to, step) {
    const first = Math.ceil(from / step);
    const count = Math.min(Math.floor(to / step) - first + 1, 60);
    if (!Number.isSafeInteger(first + 60) || !Number.isSafeInteger(first - 60) || !(count > 0)) {
        return [];
    }
    return Array.from({ length: count }, (_, index) => (first + index) * step);
}

/**
 * Returns the line of a track for the map.
 * @param {Line} line
 * @param {boolean} isPlanar
 * @param {number} position the position in the list, which selects the colour
 * @returns {MapLine}
 */
export function mapLine(line, isPlanar, position) {
    const projection = isPlanar ? plane : mercator;
    const vertices = new Path(projection, line.coordinates, line.segment_starts);
    const reasons = line.rejected ?? [];
    /** @type {{x: number, y: number}[]} */
    const rejected = [];
    /** @type {[number, number][]} */
    const accepted = [];
    /** @type {number[]} */
    const starts = [];
    let isStart = false;
    line.coordinates.forEach((coordinate, index) => {
        isStart ||= vertices.isStart[index] === 1;
        if (reasons[index]) {
            rejected.push({ x: vertices.xs[index], y: vertices.ys[index] });
            return;
        }
        if (isStart) {
            starts.push(accepted.length);
            isStart = false;
        }
        accepted.push(coordinate);
    });
    const path = rejected.length > 0 ? new Path(projection, accepted, starts) : vertices;
    const color = `track${position % 6}`;
    return { path, rawPath: rejected.length > 0 ? vertices : null, vertices, rejected, color, key: line.place };
}
