// Charts as SVG: the profile of a track with its cursor, and bars for days. Each has a table with the same values.

import { element, shape, table } from "./dom.js";
import { formatClock, formatLength, formatNumber, formatRoundLength, formatSpeed, formatTime } from "./format.js";
import { roundDown } from "./geometry.js";

const PANEL_HEIGHT = 108;
const LEFT = 46;
const RIGHT = 10;
const TOP = 18;
const AXIS_HEIGHT = 22;
/** Maximum number of values of a vertical axis. */
const ROWS_MAX_OF_AXIS = 5;
/** Minimum number of pixels between two labels of an axis. */
const LABEL_GAP = 8;
/** Rows of the table of a profile. */
const TABLE_ROWS = 21;

/**
 * Returns round values between two limits.
 * @param {number} least
 * @param {number} most
 * @param {number} count about how many
 */
export function ticks(least, most, count) {
    const step = roundDown(Math.max((most - least) / count, 1e-9));
    const made = [];
    for (let index = Math.ceil(least / step); index * step <= most + step * 1e-9 && made.length < 50; index += 1) {
        made.push(index * step);
    }
    return made;
}

/**
 * Returns round values of a vertical axis with their labels. The labels do not touch, differ from one another, and fit into the space
 * at its left.
 * @param {number} least
 * @param {number} most
 * @returns {[number, string][]}
 */
export function rowTicks(least, most) {
    const values = [3, 2, 1].map((count) => ticks(least, most, count)).find((made) => made.length <= ROWS_MAX_OF_AXIS) ?? [];
    const step = values.length > 1 ? values[1] - values[0] : 1;
    const digits = Math.max(0, Math.min(3, Math.ceil(-Math.log10(step) - 1e-9)));
    const isLong = values.some((value) => Math.abs(value) >= 1e5);
    const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
    return values.map((value) => [value, isLong ? compact.format(value) : formatNumber(value, digits)]);
}

/**
 * Returns round times between two limits, in milliseconds.
 * @param {number} least
 * @param {number} most
 * @param {number} count
 */
function timeTicks(least, most, count) {
    const minutes = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14400, 43200, 144000, 525600, 1576800, 5256000];
    const wanted = minutes.findIndex((value) => value * 60000 * count >= most - least);
    /** @type {number[]} */
    let made = [];
    // One value is no scale. A smaller step has more.
    for (let index = wanted < 0 ? minutes.length - 1 : wanted; index >= 0 && made.length < 2; index -= 1) {
        const step = minutes[index] * 60000;
        made = [];
        for (let at = Math.ceil(least / step) * step; at <= most && made.length < 50; at += step) {
            made.push(at);
        }
    }
    return made;
}

/**
 * Moves the labels of a horizontal axis into the picture, and removes those that would touch another one. An earlier label has
 * precedence.
 * @param {SVGElement[]} labels texts in the page, whose anchor is their middle
 * @param {number} width
 */
function separateLabels(labels, width) {
    /** @type {[number, number][]} */
    const taken = [];
    for (const label of labels) {
        // A text that is not visible has no size. A digit has about 7 pixels.
        const size = /** @type {SVGTextElement} */ (label).getComputedTextLength() || (label.textContent?.length ?? 0) * 7;
        const left = Math.max(0, Math.min(Number(label.getAttribute("x")) - size / 2, width - size));
        if (taken.some(([from, to]) => left < to + LABEL_GAP && left + size > from - LABEL_GAP)) {
            label.remove();
        } else {
            label.setAttribute("x", String(left + size / 2));
            taken.push([left, left + size]);
        }
    }
}

/** The elevation and the speed of a track, above one another. */
export class ProfileChart {
    /**
     * @param {HTMLElement} parent
     * @param {(index: number | null) => void} onCursor
     */
    constructor(parent, onCursor) {
        this.onCursor = onCursor;
        /** @type {Line | null} */
        this.line = null;
        this.isPlanar = false;
        this.isByTime = false;
        /** @type {number[]} */
        this.positions = [];
        /** The length of the accepted points up to each point. */
        /** @type {number[]} */
        this.distances = [];
        /** The speeds of the accepted points. */
        /** @type {(number | null)[]} */
        this.speeds = [];
        this.index = 0;
        this.width = 0;
        this.readout = element("p", { class: "readout", "aria-hidden": "true" });
        this.plot = element("div", {
            class: "plot",
            role: "slider",
            tabindex: 0,
            "aria-label": "Position on the track",
            "aria-valuemin": 0,
            "aria-valuemax": 0,
            "aria-valuenow": 0,
        });
        this.values = element("details", {}, element("summary", {}, "Profile as a table"));
        parent.append(this.readout, this.plot, this.values);
        new ResizeObserver(() => {
            if (this.plot.clientWidth !== this.width) {
                this.draw();
            }
        }).observe(this.plot);
        this.plot.addEventListener("pointermove", (event) => this.moveTo(this.indexAt(event.clientX)));
        this.plot.addEventListener("pointerdown", (event) => this.moveTo(this.indexAt(event.clientX)));
        this.plot.addEventListener("pointerleave", () => this.moveTo(null));
        this.plot.addEventListener("blur", () => this.moveTo(null));
        this.plot.addEventListener("keydown", (event) => {
            const last = this.positions.length - 1;
            const far = Math.max(1, Math.round(last / 20));
            /** @type {Record<string, number>} */
            const targets = {
                ArrowLeft: this.index - 1,
                ArrowRight: this.index + 1,
                ArrowDown: this.index - 1,
                ArrowUp: this.index + 1,
                PageDown: this.index - far,
                PageUp: this.index + far,
                Home: 0,
                End: last,
            };
            if (event.key in targets && last >= 0) {
                event.preventDefault();
                this.moveTo(Math.max(0, Math.min(last, targets[event.key])));
            }
        });
    }

    /**
     * @param {Line | null} line
     * @param {boolean} isPlanar
     * @param {boolean} isByTime
     */
    show(line, isPlanar, isByTime) {
        this.line = line;
        this.isPlanar = isPlanar;
        const times = (line?.time_ms ?? []).map((time, index) => (this.isRejected(index) ? null : time));
        this.isByTime = isByTime && times.some((time) => time !== null);
        this.distances = line?.distance_m ?? line?.distance ?? [];
        this.speeds = line?.speed_mps ?? line?.speed ?? [];
        let before = times.find((time) => time !== null) ?? 0;
        // A rejected point, and one without a time or with an earlier one, is where the last one is.
        this.positions = this.isByTime ? times.map((time) => (before = Math.max(before, time ?? before))) : this.distances;
        this.index = 0;
        this.draw();
        this.fillTable();
    }

    get elevations() {
        return this.line?.elevation_m ?? this.line?.elevation ?? [];
    }

    /** @param {number} index */
    isRejected(index) {
        return Boolean(this.line?.rejected?.[index]);
    }

    /** @param {number} position */
    x(position) {
        const [first, last] = [this.positions[0], this.positions[this.positions.length - 1]];
        const share = last > first ? (position - first) / (last - first) : 0;
        return LEFT + share * Math.max(this.width - LEFT - RIGHT, 1);
    }

    draw() {
        this.width = this.plot.clientWidth;
        this.plot.replaceChildren();
        this.mark = null;
        const { line, width } = this;
        const has = (/** @type {(number | null)[]} */ values) => values.some((value) => value !== null);
        const panels = [
            { name: "Elevation", values: this.elevations.map((value, index) => (this.isRejected(index) ? null : value)), isArea: true, scale: 1, unit: this.isPlanar ? "" : "m" },
            { name: "Speed", values: this.speeds, isArea: false, scale: this.isPlanar ? 1 : 3.6, unit: this.isPlanar ? "" : "km/h" },
        ].filter(({ values }) => has(values));
        const isEmpty = !line || panels.length === 0 || this.positions.length < 2;
        this.plot.classList.toggle("is-empty", isEmpty);
        this.values.hidden = !line;
        this.describe(null);
        if (isEmpty || width === 0) {
            if (isEmpty) {
                this.plot.append(element("p", { class: "note" }, line ? "The track has no elevations and no times." : "There is no profile."));
            }
            return;
        }
        const height = panels.length * PANEL_HEIGHT + AXIS_HEIGHT;
        const picture = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
        panels.forEach((panel, row) => this.drawPanel(picture, panel, row * PANEL_HEIGHT));
        const [first, last] = [this.positions[0], this.positions[this.positions.length - 1]];
        const count = Math.max(2, Math.floor(width / 110));
        /** @type {SVGElement[]} */
        const labels = [];
        for (const value of this.isByTime ? timeTicks(first, last, count) : ticks(first, last, count)) {
            const x = this.x(value);
            picture.append(shape("line", { class: "grid", x1: x, x2: x, y1: TOP, y2: height - AXIS_HEIGHT }));
            const text = this.isByTime
                ? formatTime(value).slice(last - first > 2 * 86400000 ? 0 : 11, last - first > 2 * 86400000 ? 10 : 16)
                : formatRoundLength(value, this.isPlanar);
            labels.push(shape("text", { class: "tick", x, y: height - 6, "text-anchor": "middle" }, text));
        }
        this.drawRejected(picture, height - AXIS_HEIGHT);
        this.mark = shape("line", { class: "cursor", x1: 0, x2: 0, y1: TOP - 8, y2: height - AXIS_HEIGHT, visibility: "hidden" });
        picture.append(this.mark, ...labels);
        this.plot.append(picture);
        separateLabels(labels, width);
    }

    /**
     * @param {SVGElement} picture
     * @param {{name: string, values: (number | null)[], isArea: boolean, scale: number, unit: string}} panel
     * @param {number} offset
     */
    drawPanel(picture, { name, values, isArea, scale, unit }, offset) {
        let [least, most] = [isArea ? Infinity : 0, isArea ? -Infinity : 0];
        for (const value of values) {
            if (value !== null) {
                least = Math.min(least, value * scale);
                most = Math.max(most, value * scale);
            }
        }
        if (most - least < 1) {
            most = least + 1;
        }
        const [top, bottom] = [offset + TOP, offset + PANEL_HEIGHT - 10];
        const y = (/** @type {number} */ value) => bottom - ((value - least) / (most - least)) * (bottom - top);
        for (const [value, text] of rowTicks(least, most)) {
            picture.append(shape("line", { class: "grid", x1: LEFT, x2: this.width - RIGHT, y1: y(value), y2: y(value) }));
            picture.append(shape("text", { class: "tick", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, text));
        }
        picture.append(shape("text", { class: "panel-name", x: LEFT, y: offset + 12 }, unit ? `${name}, ${unit}` : name));
        const starts = new Set(this.line?.segment_starts);
        let [outline, area, run] = ["", "", /** @type {string[]} */ ([])];
        const close = () => {
            if (run.length > 0) {
                outline += `M${run.join("L")}`;
                const [from, to] = [run[0].split(" ")[0], run[run.length - 1].split(" ")[0]];
                area += `M${from} ${bottom}L${run.join("L")}L${to} ${bottom}Z`;
            }
            run = [];
        };
        values.forEach((value, index) => {
            if (starts.has(index)) {
                close();
            }
            if (value !== null) {
                run.push(`${this.x(this.positions[index]).toFixed(1)} ${y(value * scale).toFixed(1)}`);
            }
        });
        close();
        if (isArea) {
            picture.append(shape("path", { class: "area", d: area }));
        }
        picture.append(shape("path", { class: isArea ? "elevation" : "speed", d: outline }));
    }

    /**
     * Draws crosses where points are rejected, at most one in 8 pixels.
     * @param {SVGElement} picture
     * @param {number} bottom
     */
    drawRejected(picture, bottom) {
        let [crosses, last] = ["", -Infinity];
        this.positions.forEach((position, index) => {
            const x = this.x(position);
            if (this.isRejected(index) && x >= last + 8) {
                crosses += `M${(x - 3).toFixed(1)} ${bottom - 6}l6 6m0 -6l-6 6`;
                last = x;
            }
        });
        if (crosses) {
            picture.append(shape("path", { class: "rejected", d: crosses }));
        }
    }

    /** @param {number} clientX */
    indexAt(clientX) {
        const { positions } = this;
        if (positions.length < 2) {
            return null;
        }
        const [first, last] = [positions[0], positions[positions.length - 1]];
        const left = this.plot.getBoundingClientRect().left + LEFT;
        const share = (clientX - left) / Math.max(this.width - LEFT - RIGHT, 1);
        const wanted = first + Math.max(0, Math.min(1, share)) * (last - first);
        let [low, high] = [0, positions.length - 1];
        while (low < high) {
            const middle = (low + high) >> 1;
            if (positions[middle] < wanted) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low > 0 && wanted - positions[low - 1] < positions[low] - wanted ? low - 1 : low;
    }

    /**
     * Moves the cursor, and reports it.
     * @param {number | null} index
     */
    moveTo(index) {
        this.setCursor(index);
        this.onCursor(index);
    }

    /** @param {number | null} index */
    setCursor(index) {
        if (index !== null) {
            this.index = index;
        }
        if (this.mark) {
            const x = index === null ? 0 : this.x(this.positions[index]);
            this.mark.setAttribute("x1", String(x));
            this.mark.setAttribute("x2", String(x));
            this.mark.setAttribute("visibility", index === null ? "hidden" : "visible");
        }
        this.describe(index);
    }

    /** @param {number | null} index */
    describe(index) {
        const text = this.line && this.positions.length > 0 ? this.textAt(index ?? this.index) : "no profile";
        this.readout.textContent = index === null ? "" : text;
        this.plot.setAttribute("aria-valuemax", String(Math.max(this.positions.length - 1, 0)));
        this.plot.setAttribute("aria-valuenow", String(this.index));
        this.plot.setAttribute("aria-valuetext", text);
    }

    /** @param {number} index */
    textAt(index) {
        const time = this.line?.time_ms[index];
        const [elevation, speed] = [this.elevations[index], this.speeds[index]];
        const reason = this.line?.rejected?.[index];
        const parts = [
            formatLength(this.distances[index], this.isPlanar),
            time == null ? null : `${formatClock(time)} UTC`,
            elevation == null ? null : `elevation ${formatNumber(elevation)}${this.isPlanar ? "" : "\u00a0m"}`,
            speed == null ? null : formatSpeed(speed, this.isPlanar),
            reason ? `rejected: ${reason.replaceAll("_", " ")}` : null,
        ];
        return parts.filter((part) => part !== null).join(" · ");
    }

    fillTable() {
        const { line, positions, isPlanar } = this;
        while (this.values.childNodes.length > 1) {
            this.values.lastChild?.remove();
        }
        const accepted = positions.map((_, index) => index).filter((index) => !this.isRejected(index));
        if (!line || accepted.length === 0) {
            return;
        }
        const count = Math.min(TABLE_ROWS, accepted.length);
        const rows = Array.from({ length: count }, (_, row) => {
            const index = accepted[count === 1 ? 0 : Math.round((row * (accepted.length - 1)) / (count - 1))];
            const [time, elevation] = [line.time_ms[index], this.elevations[index]];
            return [
                formatLength(this.distances[index], isPlanar),
                formatTime(time),
                elevation == null ? "–" : formatNumber(elevation, 1),
                formatSpeed(this.speeds[index], isPlanar),
            ];
        });
        const columns = ["Distance", "Time (UTC)", isPlanar ? "Elevation" : "Elevation, m", "Speed"];
        this.values.append(
            table("Values at equal steps of the simplified line", true, columns.map((text) => ({ text, numeric: true })), rows),
        );
    }
}

/**
 * Shows lengths by hour, day, week, month or year as bars.
 * @param {HTMLElement} parent
 * @param {{start: string, length: number}[]} days
 * @param {boolean} isPlanar
 * @param {string} unit such as day
 */
export function showBars(parent, days, isPlanar, unit) {
    const shown = days.slice(-62);
    const name = (/** @type {string} */ start) =>
        unit === "hour" ? start.slice(0, 16).replace("T", " ") : start.slice(0, unit === "year" ? 4 : unit === "month" ? 7 : 10);
    const tick = (/** @type {string} */ start) =>
        unit === "hour" ? start.slice(11, 16) : unit === "month" || unit === "year" ? name(start) : start.slice(5, 10);
    const most = Math.max(...shown.map(({ length }) => length), 1e-9);
    const width = Math.max(Math.min(parent.clientWidth || 320, 1200), 240);
    const [height, bottom] = [150, 126];
    const step = (width - LEFT) / Math.max(shown.length, 7);
    const scale = isPlanar || most < 1000 ? 1 : 1000;
    const picture = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
    for (const [value, text] of rowTicks(0, most / scale)) {
        const y = bottom - ((value * scale) / most) * (bottom - TOP);
        picture.append(shape("line", { class: "grid", x1: LEFT, x2: width, y1: y, y2: y }));
        picture.append(shape("text", { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, text));
    }
    const every = Math.ceil(46 / step);
    /** @type {SVGElement[]} */
    const labels = [];
    shown.forEach(({ start, length }, index) => {
        const size = (length / most) * (bottom - TOP);
        const x = LEFT + index * step + step * 0.12;
        const title = shape("title", {}, `${name(start)}: ${formatLength(length, isPlanar)}`);
        picture.append(shape("rect", { class: "bar", x, y: bottom - size, width: step * 0.76, height: size }, title));
        if ((shown.length - 1 - index) % every === 0) {
            labels.push(shape("text", { class: "tick", x: x + step * 0.38, y: height - 8, "text-anchor": "middle" }, tick(start)));
        }
    });
    picture.append(...labels);
    const rows = shown.map(({ start, length }) => [name(start), formatLength(length, isPlanar)]).reverse();
    const caption = `Length by ${unit}`;
    const values = table(caption, false, [{ text: unit[0].toUpperCase() + unit.slice(1) }, { text: "Length", numeric: true }], rows);
    const isOpen = parent.querySelector("details")?.open ?? false;
    const note = scale === 1000 ? `${caption}, km` : isPlanar ? caption : `${caption}, m`;
    parent.replaceChildren(
        element("p", { class: "chart-name" }, days.length > shown.length ? `${note} (the last ${shown.length})` : note),
        element("div", { class: "bars" }, /** @type {any} */ (picture)),
        element("details", { open: isOpen }, element("summary", {}, `${caption} as a table`), values),
    );
    // The newest bar has its label.
    separateLabels(labels.reverse(), width);
}
