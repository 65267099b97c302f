// The view that measures a file: lengths, map, profile, tracks, trips, and the ledger of rejected points.

import { ApiFailure, requestJson } from "./api.js";
import { ProfileChart, showBars } from "./chart.js";
import { announce, byId, element, shape, table } from "./dom.js";
import { formatCount, formatDuration, formatLength, formatNumber, formatSize, formatSpeed, formatTime, lengthParts } from "./format.js";
import { MapView, mapLine } from "./map.js";
import { OptionControls, commandBlock, commandLine, missingOptions } from "./options.js";

/** The time without a change of an option after which the file is measured again. */
const DEBOUNCE_MS = 150;
/** Maximum number of notes that are shown. */
const NOTES_MAX = 12;
/** Maximum number of rows of a table. */
const ROWS_MAX = 300;

/** The rules that reject points, as the ledger names them. */
/** @type {Record<string, string>} */
const RULES = {
    backward_time: "Earlier than the point before",
    accuracy: "Accuracy radius too large",
    speed: "Faster than the maximum speed",
    step: "Nearer than the smallest step",
    invalid_position: "Without a valid position",
    late: "Too late to be put in order",
    zero_position: "At 0, 0",
    duplicate: "Repeated",
};

/** The view of measured files. */
export class MeasureView {
    /**
     * @param {PageData} data
     * @param {(failure: ApiFailure) => void} onUnauthorized
     */
    constructor(data, onUnauthorized) {
        this.onUnauthorized = onUnauthorized;
        /** @type {File | null} */
        this.file = null;
        /** @type {Measured | null} */
        this.result = null;
        this.selected = -1;
        this.isByTime = false;
        /** @type {AbortController | null} */
        this.running = null;
        /** @type {ReturnType<typeof setTimeout> | undefined} */
        this.timer = undefined;
        /** The number of answers that were shown. */
        this.answers = 0;
        /** Maximum size of a file in bytes. */
        this.maxBytes = data.max_upload_bytes ?? Infinity;
        this.map = new MapView(byId("measure-map"), "Map of the tracks", data);
        this.profile = new ProfileChart(byId("profile"), (index) => {
            this.map.setCursor(index === null ? null : this.selectedLine(), index ?? 0);
        });
        this.map.onPoint = (line, index) => this.pointed(line, index);
        byId("profile-axis").addEventListener("change", (event) => {
            this.isByTime = /** @type {HTMLInputElement} */ (event.target).value === "time";
            this.showProfile();
        });
        if (data.report) {
            document.body.classList.add("is-report");
            if (data.report.title) {
                document.title = `${data.report.title} · waywiser`;
            }
            this.show(data.report, false);
            return;
        }
        this.controls = new OptionControls(byId("options"), data.presets ?? [], () => this.measureSoon());
        this.command = commandBlock(() => commandLine(this.controls?.options() ?? [], this.file?.name ?? "FILE"));
        byId("command-line").append(this.command.block);
        this.listen();
    }

    listen() {
        const input = /** @type {HTMLInputElement} */ (byId("file"));
        input.addEventListener("change", () => {
            this.open([...(input.files ?? [])]);
            // The same file may be chosen again.
            input.value = "";
        });
        const root = document.documentElement;
        let depth = 0;
        const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
        root.addEventListener("dragenter", (event) => {
            if (hasFiles(event)) {
                depth += 1;
                root.classList.add("is-dragging");
            }
        });
        root.addEventListener("dragover", (event) => event.preventDefault());
        root.addEventListener("dragleave", () => {
            depth = Math.max(0, depth - 1);
            root.classList.toggle("is-dragging", depth > 0);
        });
        root.addEventListener("drop", (event) => {
            event.preventDefault();
            depth = 0;
            root.classList.remove("is-dragging");
            const files = [...(event.dataTransfer?.files ?? [])];
            const items = [...(event.dataTransfer?.items ?? [])];
            if (files.length > 0) {
                location.hash = "#measure";
                if (items.some((item) => item.webkitGetAsEntry?.()?.isDirectory)) {
                    this.report("A folder cannot be measured. Drop one file, or a zip archive of the folder.", true);
                    return;
                }
                this.open(files);
            }
        });
        document.addEventListener("paste", (event) => {
            const files = [...(event.clipboardData?.files ?? [])];
            if (files.length > 0) {
                location.hash = "#measure";
                this.open(files);
            }
        });
    }

    /** @param {File[]} files */
    open(files) {
        if (files.length > 1) {
            this.report("Drop one file. A zip archive of several files is measured as a whole.", true);
            return;
        }
        if (files.length === 1) {
            this.file = files[0];
            this.selected = -1;
            this.result = null;
            this.command?.show();
            this.measure();
        }
    }

    measureSoon() {
        clearTimeout(this.timer);
        this.command?.show();
        this.timer = setTimeout(() => this.measure(), DEBOUNCE_MS);
        this.showBusy();
    }

    /** Shows whether the numbers are of other options than the controls, until the answer to a request. */
    showBusy() {
        const isBusy = this.file !== null && (this.running !== null || this.timer !== undefined);
        byId("measure").setAttribute("aria-busy", String(isBusy));
    }

    /** Measures the file with the current options. A newer call cancels this one. */
    async measure() {
        clearTimeout(this.timer);
        this.timer = undefined;
        const { file, controls } = this;
        if (!file || !controls) {
            return;
        }
        this.running?.abort();
        this.running = null;
        const refusal = this.refusal(file);
        if (refusal) {
            this.showBusy();
            this.clear();
            this.report(refusal, true);
            return;
        }
        const running = new AbortController();
        this.running = running;
        const options = controls.options();
        const query = new URLSearchParams([["file", file.name.slice(0, 255) || "file"], ...options]);
        this.report(`Measuring ${file.name} …`, false);
        this.showBusy();
        try {
            /** @type {Measured} */
            const result = await requestJson(`api/measure?${query}`, { method: "POST", body: file, signal: running.signal });
            if (this.running === running) {
                const isSame = this.result !== null;
                this.show(result, isSame);
            }
        } catch (error) {
            if (this.running !== running || running.signal.aborted) {
                return;
            }
            this.failed(error);
        } finally {
            if (this.running === running) {
                this.running = null;
                this.showBusy();
            }
        }
    }

    /**
     * Returns why a file is not sent, or an empty text. A server that refuses a large file may close the connection before the browser
     * has read the answer.
     * @param {File} file
     */
    refusal({ name, size }) {
        if (size === 0) {
            return `${name}: the file is empty.`;
        }
        if (size > this.maxBytes) {
            return `${name} has ${formatSize(size)}, and this server accepts files of up to ${formatSize(this.maxBytes)}. Compress the file, or measure it with the command line.`;
        }
        return "";
    }

    /** @param {unknown} error */
    failed(error) {
        const isRefused = !(error instanceof ApiFailure) || (error.status >= 400 && error.status < 500 && error.status !== 429);
        if (this.result === null || isRefused) {
            this.clear();
        }
        if (!(error instanceof ApiFailure)) {
            this.report("The file cannot be read any more. Choose it again.", true);
            return;
        }
        this.report(this.withHint(`${error.message}.`.replace(/\.\.$/, ".")), true);
        if (error.isOfToken) {
            this.onUnauthorized(error);
        }
    }

    /**
     * Returns a message, and what to do if it names options that the page does not have. A report has no options.
     * @param {string} message
     */
    withHint(message) {
        return this.controls ? `${message}${missingOptions(message)}` : message;
    }

    /** Removes the result, which is of another file or of other options. The filters stay, so that they can be corrected. */
    clear() {
        this.result = null;
        byId("measure").classList.add("has-failed");
        const places = ["errors", "total", "ruler", "lengths", "figures", "ledger", "tracks", "trips", "windows"];
        for (const id of places) {
            byId(id).replaceChildren();
        }
        this.map.setLines([], false, true);
        this.showProfile();
    }

    /**
     * @param {string} text
     * @param {boolean} isError
     */
    report(text, isError) {
        const place = byId("measure-status");
        place.textContent = text;
        place.classList.toggle("is-error", isError);
    }

    get isPlanar() {
        return this.result?.total.model === "planar";
    }

    selectedLine() {
        return this.map.lines.find(({ key }) => key === this.selected) ?? null;
    }

    /**
     * @param {import("./map.js").MapLine | null} line
     * @param {number} index
     */
    pointed(line, index) {
        if (line && line.key !== this.selected) {
            this.map.setCursor(line, index);
            return;
        }
        this.map.setCursor(line, index);
        this.profile.setCursor(line ? index : null);
    }

    /**
     * @param {Measured} result
     * @param {boolean} isSame whether it is the same file with other options
     */
    show(result, isSame) {
        setPlaces(result);
        this.result = result;
        const { isPlanar } = this;
        byId("measure").classList.add("has-result");
        byId("measure").classList.remove("has-failed");
        const name = this.file?.name ?? result.title ?? result.tracks[0]?.file ?? "";
        const texts = [formatCount(result.total.tracks, "track"), formatCount(result.total.points, "point")];
        this.report(`${name}: ${texts.join(", ")}${failedText(result.total)}`, false);
        byId("errors").replaceChildren(
            ...result.errors.map((text) => element("li", { class: "is-error" }, this.withHint(text))),
            ...this.notes().map((text) => element("li", {}, this.withHint(text))),
        );
        const lines = result.lines.map((line, position) => mapLine(line, isPlanar, position));
        const keep = lines.some(({ key }) => key === this.selected);
        this.map.setLines(lines, isPlanar, isSame);
        this.select(keep ? this.selected : longest(result), false);
        this.command?.show();
        this.answers += 1;
        const [value, unit] = lengthParts(lengthOf(result.total, "length") ?? 0, isPlanar);
        announce(`Length ${value} ${unit}`);
    }

    notes() {
        const { result } = this;
        if (!result) {
            return [];
        }
        // Of several files, a note names its own.
        const hasFiles = new Set(result.tracks.map(({ file }) => file)).size > 1;
        const all = result.tracks.flatMap(({ file, notes }) => notes.map(({ message }) => (hasFiles ? `${file}: ${message}` : message)));
        all.push(...result.total.notes.map(({ file, message }) => (file ? `${file}: ${message}` : message)));
        if (result.more_lines > 0) {
            all.push(`${formatCount(result.more_lines, "track")} more than the map shows`);
        }
        if (result.lines.some(({ point_count: count, coordinates }) => coordinates.length < count)) {
            all.push("The map and the profile show simplified lines of at most 1001 points. All points are measured.");
        }
        const notes = [...new Set(all)];
        const more = notes.length - NOTES_MAX;
        return more > 0 ? [...notes.slice(0, NOTES_MAX), `${formatCount(more, "note")} more`] : notes;
    }

    /**
     * Shows a track in the profile, the table of trips and the ledger.
     * @param {number} key the place of the track, or -1 for all
     * @param {boolean} moves whether the map moves to it
     */
    select(key, moves) {
        this.selected = key;
        const { result } = this;
        if (!result) {
            return;
        }
        const isOne = result.tracks.length === 1;
        this.map.select(isOne ? -1 : key, moves);
        this.showProfile();
        this.showNumbers();
        this.showTracks();
        this.showTrips();
        this.showLedger();
        this.showWindows();
    }

    showProfile() {
        const line = this.result?.lines.find(({ place }) => place === this.selected) ?? null;
        this.profile.show(line, this.isPlanar, this.isByTime);
        const track = this.track();
        byId("profile-title").textContent = this.result && this.result.tracks.length > 1 && track ? `Profile: ${trackName(track, this.result.tracks)}` : "Profile";
    }

    track() {
        return this.result?.tracks[this.selected];
    }

    showNumbers() {
        const { result, isPlanar } = this;
        if (!result) {
            return;
        }
        const { total } = result;
        const only = result.tracks.length === 1 ? result.tracks[0] : undefined;
        const length = lengthOf(total, "length") ?? 0;
        const [value, unit] = lengthParts(length, isPlanar);
        byId("total").replaceChildren(
            element("data", { value: String(length), id: "total-length" }, value),
            element("span", { class: "unit" }, unit),
        );
        const raw = lengthOf(total, "raw_length") ?? length;
        const { estimated_length_m: estimate, estimated_length_low_m: low, estimated_length_high_m: high } = total;
        byId("ruler").replaceChildren(ruler(raw, length, estimate, low, high));
        const stat = (/** @type {string} */ name, /** @type {Node | string} */ content, /** @type {string} */ note = "") =>
            element("div", {}, element("dt", {}, name), element("dd", {}, content, note ? element("small", {}, note) : null));
        const exact = (/** @type {string} */ id, /** @type {number} */ exactValue) =>
            element("data", { id, value: String(exactValue) }, formatLength(exactValue, isPlanar));
        const entries = [
            stat("All points", exact("total-raw", raw), formatCount(total.points, "point")),
            stat("Accepted points", exact("total-accepted", length), formatCount(total.accepted, "point")),
        ];
        if (estimate != null) {
            const interval = low != null && high != null ? `90 % interval ${formatLength(low)} to ${formatLength(high)}` : "";
            entries.push(stat("Estimated", exact("total-estimate", estimate), interval));
        }
        const climb = (/** @type {"ascent" | "descent"} */ kind) => lengthOf(total, kind);
        const others = [
            total.moving_s == null ? null : stat("Moving", formatDuration(total.moving_s)),
            only?.elapsed_s == null ? null : stat("Elapsed", formatDuration(only.elapsed_s)),
            total.moving_s ? stat("Average", formatSpeed(length / total.moving_s, isPlanar), "while moving") : null,
            total.max_speed_mps == null && total.max_speed == null
                ? null
                : stat("Highest speed", formatSpeed(total.max_speed_mps ?? total.max_speed, isPlanar)),
            climb("ascent") == null ? null : stat("Ascent", isPlanar ? formatNumber(climb("ascent") ?? 0, 1) : `${formatNumber(climb("ascent") ?? 0)}\u00a0m`),
            climb("descent") == null ? null : stat("Descent", isPlanar ? formatNumber(climb("descent") ?? 0, 1) : `${formatNumber(climb("descent") ?? 0)}\u00a0m`),
            total.stop_count == null ? null : stat("Stops", formatNumber(total.stop_count), total.stopped_s ? formatDuration(total.stopped_s) : ""),
            stat("Segments", formatNumber(total.segments)),
        ];
        byId("lengths").replaceChildren(...entries);
        byId("figures").replaceChildren(...others.filter((entry) => entry !== null));
    }

    showTracks() {
        const { result, isPlanar } = this;
        const tracks = result?.tracks ?? [];
        const section = byId("tracks-section");
        section.hidden = tracks.length < 2;
        if (section.hidden) {
            byId("tracks").replaceChildren();
            return;
        }
        const positions = new Map(result?.lines.map(({ place }, position) => [place, position]));
        const rows = tracks.slice(0, ROWS_MAX).map((track, place) => {
            const position = positions.get(place);
            const isSelected = place === this.selected;
            const button = element(
                "button",
                {
                    type: "button",
                    class: "row-button",
                    "aria-pressed": String(isSelected),
                    onclick: () => {
                        this.select(place, true);
                        byId("tracks").querySelectorAll("button")[place]?.focus();
                    },
                },
                element("span", { class: position === undefined ? "key" : `key key${position % 6}` }),
                trackName(track, tracks),
            );
            return [
                button,
                formatTime(track.start_time),
                formatNumber(track.points),
                formatLength(lengthOf(track, "raw_length"), isPlanar),
                formatLength(lengthOf(track, "length"), isPlanar),
                formatLength(track.estimated_length_m),
                formatDuration(track.moving_s),
            ];
        });
        const columns = ["Track", "Start (UTC)", "Points", "All points", "Accepted", "Estimated", "Moving"];
        const caption = tracks.length > ROWS_MAX ? `The first ${ROWS_MAX} of ${formatNumber(tracks.length)} tracks` : "Tracks";
        byId("tracks").replaceChildren(table(caption, tracks.length > ROWS_MAX, columns.map((text, index) => ({ text, numeric: index > 1 })), rows));
    }

    showTrips() {
        const trips = this.track()?.trips ?? [];
        byId("trips-section").hidden = trips.length === 0;
        const rows = trips.slice(0, ROWS_MAX).map((trip, index) => {
            const duration = (Date.parse(trip.end_time) - Date.parse(trip.start_time)) / 1000;
            const interval = `${formatLength(trip.estimated_length_low_m)} to ${formatLength(trip.estimated_length_high_m)}`;
            return [
                String(index + 1),
                formatTime(trip.start_time),
                formatTime(trip.end_time),
                formatDuration(duration),
                formatLength(trip.estimated_length_m),
                interval,
            ];
        });
        const columns = ["Trip", "Start (UTC)", "End (UTC)", "Duration", "Estimated", "90 % interval"];
        byId("trips").replaceChildren(table("Trips", false, columns.map((text, index) => ({ text, numeric: index > 2 })), rows));
    }

    /** Shows how the length of all points becomes that of the accepted ones. */
    showLedger() {
        const { result, isPlanar } = this;
        if (!result) {
            return;
        }
        const of = result.total;
        const raw = lengthOf(of, "raw_length") ?? lengthOf(of, "length") ?? 0;
        const gaps = lengthOf(of, "gap_length") ?? 0;
        const signed = (/** @type {number} */ length) =>
            length === 0 ? formatLength(0, isPlanar) : `${length > 0 ? "−" : "+"}\u2009${formatLength(Math.abs(length), isPlanar)}`;
        const rows = [["All points", formatNumber(of.points), formatLength(raw, isPlanar)]];
        for (const { reason, count, rejected_length_m: metres, rejected_length: planar } of of.rejections) {
            rows.push([RULES[reason] ?? reason, `−\u2009${formatNumber(count)}`, signed(metres ?? planar ?? 0)]);
        }
        if (gaps !== 0) {
            rows.push(["Gaps between segments", "", signed(gaps)]);
        }
        rows.push(["Accepted points", formatNumber(of.accepted), formatLength(lengthOf(of, "length"), isPlanar)]);
        const made = table("What the filters removed", true, [{ text: "Rule" }, { text: "Points", numeric: true }, { text: "Length", numeric: true }], rows);
        made.classList.add("ledger");
        const shown = this.map.lines.reduce((sum, { rejected }) => sum + rejected.length, 0);
        const rejected = of.rejections.reduce((sum, { count }) => sum + count, 0);
        const legend =
            rejected === 0
                ? "No point is rejected."
                : `The map marks ${formatNumber(shown)} of ${formatNumber(rejected)} rejected points with red crosses, and the legs to them in red.`;
        byId("ledger").replaceChildren(made, element("p", { class: "note" }, legend));
        byId("map-legend").hidden = shown === 0;
    }

    showWindows() {
        const { result } = this;
        const windows = result?.total.windows ?? this.track()?.windows ?? [];
        byId("windows-section").hidden = windows.length === 0;
        if (windows.length > 0) {
            const days = windows.map(({ start, length, length_m: metres }) => ({ start, length: metres ?? length ?? 0 }));
            showBars(byId("windows"), days, this.isPlanar, this.controls?.by.value || "period");
        }
    }
}

/**
 * Returns a length of a track or a total, whatever its unit.
 * @param {Lengths} of
 * @param {"length" | "raw_length" | "gap_length" | "ascent" | "descent"} name
 */
function lengthOf(of, name) {
    return of[`${name}_m`] ?? of[name] ?? null;
}

/**
 * Returns how many files have errors. The list of the errors may be too long to be complete.
 * @param {Total} total
 */
function failedText({ files, failed_files: failed }) {
    if (failed === 0) {
        return "";
    }
    return `; ${files === 1 ? "the file" : `${formatNumber(failed)} of ${formatNumber(files)} files`} could not be measured completely`;
}

/**
 * Returns the name of a track. Of several files, it has that of the file, without the folder or the archive that all of them share.
 * @param {Track} track
 * @param {Track[]} tracks all tracks
 */
function trackName(track, tracks) {
    const name = track.track || `Track ${track.track_index + 1}`;
    if (tracks.every(({ file }) => file === track.file)) {
        return name;
    }
    const folder = track.file.slice(0, track.file.indexOf("/") + 1);
    const isShared = tracks.every(({ file }) => file.startsWith(folder));
    return `${isShared ? track.file.slice(folder.length) : track.file} · ${name}`;
}

/** @param {Measured} result */
function longest(result) {
    let [best, most] = [-1, -1];
    for (const { place } of result.lines) {
        const track = result.tracks[place];
        const length = track ? lengthOf(track, "length") ?? 0 : -1;
        if (length > most) {
            [best, most] = [place, length];
        }
    }
    return best;
}

/**
 * Sets the place of the track of each line in the list of tracks. A track index counts the tracks of a file, and an archive
 * can have several files, also with the same name.
 * @param {Measured} result
 */
function setPlaces(result) {
    /** @type {Map<string, number[]>} */
    const places = new Map();
    result.tracks.forEach(({ file, track_index: index }, place) => {
        const key = `${index} ${file}`;
        places.set(key, [...(places.get(key) ?? []), place]);
    });
    for (const line of result.lines) {
        line.place = places.get(`${line.track_index} ${line.file}`)?.shift() ?? -1;
    }
}

/**
 * Returns the lengths as marks on a ruler, and the estimate as an interval.
 * @param {number} raw
 * @param {number} length
 * @param {number | null | undefined} estimate
 * @param {number | null | undefined} low
 * @param {number | null | undefined} high
 */
function ruler(raw, length, estimate, low, high) {
    const most = Math.max(raw, length, high ?? 0) || 1;
    const x = (/** @type {number} */ value) => 6 + (value / most) * 388;
    const picture = shape("svg", { viewBox: "0 0 400 34", "aria-hidden": "true", preserveAspectRatio: "none" });
    for (let index = 0; index <= 40; index += 1) {
        const at = 6 + index * 9.7;
        const size = index % 10 === 0 ? 10 : index % 5 === 0 ? 7 : 4;
        picture.append(shape("line", { class: "rule", x1: at, x2: at, y1: 33, y2: 33 - size }));
    }
    if (estimate != null && low != null && high != null) {
        picture.append(shape("rect", { class: "interval", x: x(low), y: 3, width: Math.max(x(high) - x(low), 2), height: 14 }));
        picture.append(shape("line", { class: "estimate", x1: x(estimate), x2: x(estimate), y1: 1, y2: 19 }));
    }
    picture.append(shape("line", { class: "raw", x1: x(raw), x2: x(raw), y1: 1, y2: 33 }));
    picture.append(shape("line", { class: "accepted", x1: x(length), x2: x(length), y1: 1, y2: 33 }));
    return picture;
}
