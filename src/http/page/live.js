// The view of recordings: a list that is read again every few seconds, and one recording that is followed by events.
//
// A browser opens at most six connections to a server over HTTP/1.1, for all tabs together. Therefore only the selected
// recording has a stream of events, and only while the page is visible.

import { ApiFailure, followEvents, pause, recordingPath, requestJson } from "./api.js";
import { showBars } from "./chart.js";
import { byId, element } from "./dom.js";
import { escapeName, formatAge, formatCount, formatDuration, formatLength, formatName, formatNumber, formatSpeed, formatTime, lengthParts, seconds } from "./format.js";
import { Path, mercator, plane } from "./geometry.js";
import { MapView } from "./map.js";

const PAGE_SIZE = 50;
/** The time between two requests for the list. */
const POLL_MS = 5000;
/** Maximum number of positions of the selected recording that the map shows. */
const TRAIL_MAX = 2000;
/** A recording whose last fix is older than this has a muted colour. */
const OLD_S = 600;

/** The view of recordings. */
export class LiveView {
    /**
     * @param {PageData} data
     * @param {(failure: ApiFailure) => void} onUnauthorized
     */
    constructor(data, onUnauthorized) {
        this.onUnauthorized = onUnauthorized;
        this.map = new MapView(byId("live-map"), "Map of the recordings", data);
        /** @type {Recording[]} */
        this.recordings = [];
        /** @type {Recording | null} */
        this.selected = null;
        this.selectedName = "";
        /** The positions of the selected recording. */
        /** @type {{ x: number, y: number, time: string }[]} */
        this.trail = [];
        /** The tokens of the pages before this one. */
        /** @type {string[]} */
        this.pages = [];
        this.nextPage = "";
        /** The status of the last answer with a list, or of the refusal of the token; null before the first one. */
        /** @type {number | null} */
        this.listStatus = null;
        this.prefix = "";
        /** Whether the map moves to the selected recording when its positions are known. */
        this.isFitting = false;
        /** Whether the next state is the first one of a stream. */
        this.isFirst = true;
        this.isOpen = false;
        /** @type {AbortController | null} */
        this.polling = null;
        /** @type {AbortController | null} */
        this.following = null;
        /** The number of states that were received. */
        this.updates = 0;
        byId("live-next").addEventListener("click", () => this.turn(true));
        byId("live-previous").addEventListener("click", () => this.turn(false));
        let timer = 0;
        byId("live-prefix").addEventListener("input", (event) => {
            clearTimeout(timer);
            timer = window.setTimeout(() => {
                this.prefix = /** @type {HTMLInputElement} */ (event.target).value.trim();
                this.pages = [];
                this.restart();
            }, 250);
        });
        document.addEventListener("visibilitychange", () => this.restart());
        setInterval(() => this.showAges(), 1000);
    }

    /** @param {boolean} isOpen whether the view is shown */
    setOpen(isOpen) {
        if (this.isOpen !== isOpen) {
            this.isOpen = isOpen;
            this.restart();
        }
    }

    /** Reads everything again, with the current token. Does nothing while the view is not visible. */
    restart() {
        this.polling?.abort();
        this.following?.abort();
        this.polling = this.following = null;
        if (this.isOpen && document.visibilityState === "visible") {
            this.poll();
            this.follow();
        }
    }

    /** Removes everything that was read with the token before. */
    clear() {
        this.polling?.abort();
        this.following?.abort();
        this.polling = this.following = null;
        this.recordings = [];
        this.selected = null;
        this.selectedName = "";
        this.trail = [];
        this.pages = [];
        this.nextPage = "";
        this.listStatus = null;
        for (const id of ["live-name", "live-total", "live-figures", "live-days"]) {
            byId(id).replaceChildren();
        }
        delete byId("live-days").dataset.key;
        this.showState("list", "");
        this.showState("stream", "");
        this.showSelected();
        this.showList();
    }

    /** @param {boolean} forward */
    turn(forward) {
        if (forward && this.nextPage) {
            this.pages.push(this.nextPage);
        } else if (!forward) {
            this.pages.pop();
        }
        this.restart();
    }

    /** Reads the list until the view is left. */
    async poll() {
        const polling = new AbortController();
        this.polling = polling;
        const { signal } = polling;
        while (!signal.aborted) {
            // Without windows and trips, a page of the list has this number of recordings.
            const query = new URLSearchParams({ page_size: String(PAGE_SIZE), view: "BASIC" });
            const page = this.pages[this.pages.length - 1];
            if (page) {
                query.set("page_token", page);
            }
            if (this.prefix) {
                query.set("prefix", /^[\w.~-]*$/.test(this.prefix) ? this.prefix : escapeName(this.prefix));
            }
            try {
                /** @type {RecordingList} */
                const list = await requestJson(`api/paths?${query}`, { signal });
                if (signal.aborted) {
                    return;
                }
                this.recordings = list.paths ?? [];
                this.nextPage = list.next_page_token ?? "";
                this.listStatus = 200;
                this.showState("list", "");
                this.showList();
            } catch (error) {
                if (signal.aborted) {
                    return;
                }
                const failure = error instanceof ApiFailure ? error : new ApiFailure(0, "INVALID", "the answer is not valid");
                this.showState("list", `The list is not current: ${failure.message}.`);
                if (failure.status === 401 || failure.status === 403) {
                    this.clear();
                    this.listStatus = failure.status;
                    this.showState("list", `The list is not current: ${failure.message}.`);
                    this.showList();
                    this.onUnauthorized(failure);
                    return;
                }
                if (failure.status === 400 && this.pages.length > 0) {
                    // A token of a page is not valid any more.
                    this.pages = [];
                }
            }
            await pause(POLL_MS, signal);
        }
    }

    /** @param {string} name */
    select(name) {
        // A stream that has ended is opened again: the recording may have been deleted and made again.
        if (this.selectedName !== name || this.following === null) {
            this.selectedName = name;
            this.selected = this.recordings.find((recording) => recording.name === name) ?? null;
            this.trail = [];
            this.showSelected();
            this.isFitting = true;
            this.showList();
            if (byId("live-map").offsetTop > byId("recordings").offsetTop + byId("recordings").offsetHeight) {
                // In one column, the details may be far below the list.
                byId("live-detail").scrollIntoView();
            }
            this.following?.abort();
            this.following = null;
            if (this.isOpen) {
                this.follow();
            }
        }
    }

    /** Follows the selected recording until another one is selected or the view is left. */
    async follow() {
        if (!this.selectedName) {
            return;
        }
        const following = new AbortController();
        this.following = following;
        const { signal } = following;
        await followEvents(
            `${recordingPath(this.selectedName)}/events?recent_points=true`,
            signal,
            (event, data) => {
                if (event === "path" && !signal.aborted) {
                    this.receive(data);
                }
            },
            (state, failure) => {
                if (signal.aborted) {
                    return;
                }
                this.isFirst ||= state === "open";
                const texts = {
                    connecting: "Connecting …",
                    open: "Live",
                    lost: `Connection lost: ${failure?.message ?? ""}. Trying again …`,
                    ended: failure ? `Not followed: ${failure.message}.` : "Finished",
                };
                this.showState("stream", texts[state], state);
                if (failure?.status === 401 || failure?.status === 403) {
                    this.onUnauthorized(failure);
                }
            },
        );
        if (this.following === following) {
            this.following = null;
        }
    }

    /** @param {Recording} recording */
    receive(recording) {
        this.selected = recording;
        this.updates += 1;
        // The first state has the last points, and each later one those since the state before.
        if (this.isFirst && recording.recent_points) {
            this.trail = [];
        }
        this.isFirst = false;
        const recent = recording.recent_points ?? [];
        if (recent.length > 0) {
            this.trail.push(...recent.map(({ x = 0, y = 0, time = "" }) => ({ x, y, time })));
            // Phones send again what has no answer, and in any order.
            const known = new Set();
            this.trail = this.trail.filter(({ x, y, time }) => {
                const key = `${time} ${x} ${y}`;
                const isNew = time === "" || !known.has(key);
                known.add(key);
                return isNew;
            });
            if (this.trail.every(({ time }) => time !== "")) {
                this.trail.sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
            }
        } else if (recording.last_point) {
            const { x = 0, y = 0, time = "" } = recording.last_point;
            const last = this.trail[this.trail.length - 1];
            if (!last || last.x !== x || last.y !== y) {
                this.trail.push({ x, y, time });
            }
        }
        this.trail.splice(0, this.trail.length - TRAIL_MAX);
        const position = this.recordings.findIndex(({ name }) => name === recording.name);
        if (position >= 0) {
            this.recordings[position] = recording;
        }
        this.showSelected();
        this.showList();
    }

    /**
     * @param {"list" | "stream"} place
     * @param {string} text
     * @param {string} [state]
     */
    showState(place, text, state = "") {
        const status = byId(place === "list" ? "list-state" : "stream-state");
        if (status.textContent !== text) {
            status.textContent = text;
        }
        status.dataset.state = state;
    }

    showList() {
        const { recordings } = this;
        const reason = this.reasonOfNone();
        setText(byId("live-none"), reason);
        byId("live-none").hidden = reason === "";
        byId("live-empty").hidden = recordings.length > 0 || reason !== "" || this.listStatus === null;
        byId("live-hint").hidden = recordings.length === 0 || this.selectedName !== "";
        byId("live-pages").hidden = this.pages.length === 0 && !this.nextPage;
        byId("live-page").textContent = `Page ${this.pages.length + 1}`;
        /** @type {HTMLButtonElement} */ (byId("live-previous")).disabled = this.pages.length === 0;
        /** @type {HTMLButtonElement} */ (byId("live-next")).disabled = !this.nextPage;
        const list = byId("recordings");
        const known = new Map([...list.children].map((child) => [/** @type {HTMLElement} */ (child).dataset.name, child]));
        const rows = recordings.map((recording) => {
            const row = known.get(recording.name) ?? this.makeRow(recording.name);
            this.fillRow(/** @type {HTMLElement} */ (row), recording);
            return row;
        });
        // The same elements in the same order keep the focus.
        if (rows.length !== list.children.length || rows.some((row, index) => row !== list.children[index])) {
            list.replaceChildren(...rows);
        }
        this.showMap();
    }

    /** Returns why the list is empty, other than that the server has no recordings. */
    reasonOfNone() {
        if (this.recordings.length > 0) {
            return "";
        }
        if (this.listStatus === 401) {
            return "The server shows recordings to those who have a token. Enter one.";
        }
        if (this.listStatus === 403) {
            return "This token does not permit to read recordings.";
        }
        if (this.listStatus === 200 && this.prefix) {
            return `No recording has a name that starts with “${this.prefix}”.`;
        }
        return this.pages.length > 0 ? "There are no more recordings." : "";
    }

    /** @param {string} name */
    makeRow(name) {
        const button = element(
            "button",
            { type: "button", onclick: () => this.select(name) },
            element("span", { class: "name" }, formatName(name)),
            element("span", { class: "length" }),
            element("span", { class: "age" }),
        );
        return element("li", { "data-name": name }, button);
    }

    /**
     * @param {HTMLElement} row
     * @param {Recording} recording
     */
    fillRow(row, recording) {
        const { summary } = recording;
        const isPlanar = summary?.length_m === undefined && summary?.length !== undefined;
        const [button, length, age] = ["button", ".length", ".age"].map((name) => row.querySelector(name));
        if (button && length && age) {
            button.setAttribute("aria-pressed", String(recording.name === this.selectedName));
            setText(length, formatLength(summary?.length_m ?? summary?.length ?? 0, isPlanar));
            setText(age, ageText(recording));
        }
    }

    showAges() {
        if (!this.isOpen) {
            return;
        }
        for (const row of byId("recordings").children) {
            const recording = this.recordings.find(({ name }) => name === /** @type {HTMLElement} */ (row).dataset.name);
            const age = row.querySelector(".age");
            if (recording && age) {
                setText(age, ageText(recording));
            }
        }
        if (this.selected) {
            setText(byId("live-age"), ageText(this.selected));
        }
    }

    showMap() {
        const isPlanar = isPlanarRecording(this.selected);
        const markers = this.recordings
            .filter((recording) => recording.last_point && isPlanarRecording(recording) === isPlanar)
            .map((recording) => {
                const { x = 0, y = 0 } = recording.last_point ?? {};
                const projection = isPlanar ? plane : mercator;
                const age = (Date.now() - Date.parse(recording.last_point?.time ?? recording.update_time ?? "")) / 1000;
                return {
                    x: projection.x(x),
                    y: projection.y(y),
                    color: recording.name === this.selectedName ? "cursor" : "track0",
                    label: formatName(recording.name),
                    isOld: !(age < OLD_S),
                };
            });
        const coordinates = this.trail.length > 0 ? this.trail.map(({ x, y }) => /** @type {[number, number]} */ ([x, y])) : boundsOf(this.selected);
        const path = new Path(isPlanar ? plane : mercator, coordinates, [0]);
        const line = { path, rawPath: null, vertices: path, rejected: [], color: "track0", key: 0 };
        // A recording that was selected is fitted until its positions are known. Later the view is that of the user.
        const isFitting = this.isFitting;
        this.map.setLines(coordinates.length > 1 ? [line] : [], isPlanar, isFitting || !this.map.isFitted);
        this.map.setMarkers(markers);
        if (isFitting) {
            this.fitSelected(path);
        }
    }

    /**
     * Moves the map to the selected recording.
     * @param {Path} path its line
     */
    fitSelected(path) {
        const marker = this.map.markers.find(({ color }) => color === "cursor");
        const box = path.box ?? (marker ? { minX: marker.x, maxX: marker.x, minY: marker.y, maxY: marker.y } : null);
        if (box) {
            this.map.isFitted = false;
            this.map.fitBox(box);
        }
        this.isFitting = this.trail.length === 0;
    }

    showSelected() {
        const { selected } = this;
        byId("live-detail").hidden = !this.selectedName;
        if (!selected) {
            return;
        }
        const { summary, last_point: fix } = selected;
        const isPlanar = isPlanarRecording(selected);
        byId("live-name").textContent = formatName(selected.name);
        const length = summary?.length_m ?? summary?.length ?? 0;
        const [value, unit] = lengthParts(length, isPlanar);
        byId("live-total").replaceChildren(
            element("data", { value: String(length), id: "live-length" }, value),
            element("span", { class: "unit" }, unit),
        );
        const stat = (/** @type {string} */ name, /** @type {string} */ text, /** @type {string | null} */ id = null) =>
            element("div", {}, element("dt", {}, name), element("dd", { id }, text));
        const moving = seconds(summary?.moving_time);
        const entries = [
            stat("Last fix", ageText(selected), "live-age"),
            stat("Points", formatCount(selected.committed_points ?? 0, "point"), "live-points"),
            stat("All points", formatLength(summary?.raw_length_m ?? summary?.raw_length, isPlanar)),
            summary?.estimated_length_m == null
                ? null
                : stat("Estimated", `${formatLength(summary.estimated_length_m)} (${formatLength(summary.estimated_length_low_m)} to ${formatLength(summary.estimated_length_high_m)})`),
            moving == null ? null : stat("Moving", formatDuration(moving)),
            summary?.max_speed_mps == null ? null : stat("Fastest leg", formatSpeed(summary.max_speed_mps)),
            summary?.ascent_m == null ? null : stat("Ascent", `${formatNumber(summary.ascent_m)}\u00a0m`),
            fix?.z == null ? null : stat("Elevation", `${formatNumber(fix.z)}${isPlanar ? "" : "\u00a0m"}`),
            fix?.accuracy_m == null ? null : stat("Accuracy", `${formatNumber(fix.accuracy_m)}\u00a0m`),
            stat("Started (UTC)", formatTime(selected.create_time)),
        ];
        byId("live-figures").replaceChildren(...entries.filter((entry) => entry !== null));
        const windows = summary?.windows ?? [];
        byId("live-days").hidden = windows.length === 0;
        if (windows.length > 0) {
            const days = windows.map((window) => ({ start: localDay(window, summary?.options?.windows?.time_zone), length: window.length_m ?? window.length ?? 0 }));
            const key = JSON.stringify(days);
            // The table stays as it is while nothing changes.
            if (byId("live-days").dataset.key !== key) {
                byId("live-days").dataset.key = key;
                const period = (summary?.options?.windows?.unit ?? "DAY").toLowerCase().replace("window_unit_", "");
                showBars(byId("live-days"), days, isPlanar, period);
            }
        }
    }
}

/**
 * @param {Element} place
 * @param {string} text
 */
function setText(place, text) {
    if (place.textContent !== text) {
        place.textContent = text;
    }
}

/** @param {Recording} recording */
function ageText(recording) {
    if (recording.complete) {
        return "finished";
    }
    return formatAge(recording.last_point?.time ?? recording.update_time, Date.now());
}

/** @param {Recording | null} recording */
function isPlanarRecording(recording) {
    return recording?.summary?.length !== undefined && recording.summary.length_m === undefined;
}

/**
 * Returns the corners of the box around a recording, for servers that know no positions of it.
 * @param {Recording | null} recording
 * @returns {[number, number][]}
 */
function boundsOf(recording) {
    const bounds = recording?.summary?.bounds;
    if (!bounds) {
        return [];
    }
    const { min_x: west = 0, min_y: south = 0, max_x: east = 0, max_y: north = 0 } = bounds;
    return [[west, south], [east, south], [east, north], [west, north], [west, south]];
}

/**
 * Returns the day at which a window starts in its time zone.
 * @param {{start_time: string}} window
 * @param {string | undefined} zone
 */
function localDay(window, zone) {
    try {
        return new Intl.DateTimeFormat("sv", { timeZone: zone || "UTC", dateStyle: "short" }).format(new Date(window.start_time));
    } catch {
        return window.start_time.slice(0, 10);
    }
}
