// The view of recordings: a list that is read again every few seconds, and one recording that is followed by events.
//
// A browser opens at most six connections to a server over HTTP/1.1, for all tabs together. Therefore only the selected
// recording has a stream of events, and only while the page is visible.

import { ApiFailure, followEvents, pause, readJson, recordingPath } from "./api.js";
import { showBars } from "./chart.js";
import { announce, byId, element } from "./dom.js";
import { escapeName, foldCase, formatAge, formatCount, formatDuration, formatLength, formatName, formatNumber, formatSpeed, formatTime, lengthParts, seconds } from "./format.js";
import { Path, mercator, plane } from "./geometry.js";
import { MapView } from "./map.js";

const PAGE_SIZE = 50;
/** The time between two requests for the list. */
const POLL_MS = 5000;
/** Maximum number of positions of the selected recording that the map shows. */
const TRAIL_MAX = 2000;
/** Maximum number of recordings in a request of a search, and of requests of a search. */
const SEARCH_PAGE_SIZE = 1000;
const SEARCH_PAGES_MAX = 20;
/** A recording whose last fix is older than this has a muted colour. */
const OLD_S = 600;

/** What the view has read with a token, and what the user has selected. */
class LiveState {
    constructor() {
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
        /** Whether the server has returned the page of the list that was requested last. */
        this.isPageKnown = false;
        /** The status of the last answer with a list, or of the refusal of the token; null before the first one. */
        /** @type {number | null} */
        this.listStatus = null;
        /** Whether a search has found only a part of the recordings, because the server has too many. */
        this.isPartial = false;
        /** Whether the map keeps the selected recording in view, until the user moves the map. */
        this.keepsInView = false;
        /** Whether the map moves to the selected recording when its positions are known. */
        this.isFitting = false;
    }
}

/** The view of recordings. */
export class LiveView extends LiveState {
    /**
     * @param {PageData} data
     * @param {(failure: ApiFailure) => void} onUnauthorized
     */
    constructor(data, onUnauthorized) {
        super();
        this.onUnauthorized = onUnauthorized;
        this.map = new MapView(byId("live-map"), "Map of the recordings", data);
        /** The beginning of the names that the user searches for. */
        this.prefix = "";
        /** Whether the next state is the first one of a stream. */
        this.isFirst = true;
        this.isOpen = false;
        /** @type {AbortController | null} */
        this.polling = null;
        /** @type {AbortController | null} */
        this.following = null;
        /** The number of states that were received. */
        this.updates = 0;
        this.followButton = element("button", { type: "button", class: "map-follow", hidden: true, onclick: () => this.keepInView() });
        byId("live-map").append(this.followButton);
        this.map.onMoved = () => {
            this.keepsInView = this.isFitting = false;
            this.showFollowButton();
        };
        byId("live-next").addEventListener("click", () => this.showNextPage());
        byId("live-previous").addEventListener("click", () => this.showPage(this.pages.slice(0, -1)));
        let timer = 0;
        byId("live-prefix").addEventListener("input", (event) => {
            clearTimeout(timer);
            timer = window.setTimeout(() => {
                this.prefix = /** @type {HTMLInputElement} */ (event.target).value.trim();
                this.showPage([]);
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
        this.stop();
        if (this.isOpen && document.visibilityState === "visible") {
            this.poll();
            this.follow();
        }
    }

    /** Cancels the requests. */
    stop() {
        this.polling?.abort();
        this.following?.abort();
        this.polling = this.following = null;
    }

    /** Removes everything that was read with the token before. */
    clear() {
        this.stop();
        Object.assign(this, new LiveState());
        for (const id of ["live-name", "live-total", "live-figures", "live-days"]) {
            byId(id).replaceChildren();
        }
        delete byId("live-days").dataset.key;
        byId("live-pages").hidden = true;
        this.showState("list", "");
        this.showState("stream", "");
        this.showSelected();
        this.showList();
        // The view is near the recording.
        this.map.fit();
    }

    showNextPage() {
        if (this.nextPage) {
            this.showPage([...this.pages, this.nextPage]);
        }
    }

    /**
     * Requests a page of the list. Until its answer, the page after it is not known.
     * @param {string[]} pages the tokens of the pages up to this one
     */
    showPage(pages) {
        this.pages = pages;
        this.nextPage = "";
        this.isPageKnown = false;
        this.showPageButtons();
        this.restart();
    }

    showPageButtons() {
        const { pages, nextPage, isPageKnown } = this;
        const next = /** @type {HTMLButtonElement} */ (byId("live-next"));
        if (isPageKnown) {
            byId("live-pages").hidden = pages.length === 0 && !nextPage;
        }
        byId("live-page").textContent = `Page ${pages.length + 1}`;
        /** @type {HTMLButtonElement} */ (byId("live-previous")).disabled = pages.length === 0;
        // A button that is disabled until the answer would lose the focus.
        next.disabled = isPageKnown && !nextPage;
        next.setAttribute("aria-disabled", String(!nextPage));
    }

    /** Reads the list until the view is left. */
    async poll() {
        const polling = new AbortController();
        this.polling = polling;
        const { signal } = polling;
        while (!signal.aborted) {
            const page = this.pages[this.pages.length - 1];
            let [requests, retryAfterMs] = [1, 0];
            try {
                if (this.prefix) {
                    const found = await searchRecordings(this.prefix, signal);
                    if (signal.aborted) {
                        return;
                    }
                    ({ requests, isPartial: this.isPartial } = found);
                    const first = Math.min(Number(page ?? 0), Math.max(found.recordings.length - 1, 0));
                    this.recordings = found.recordings.slice(first, first + PAGE_SIZE).map((recording) => this.newest(recording));
                    this.nextPage = found.recordings.length > first + PAGE_SIZE ? String(first + PAGE_SIZE) : "";
                } else {
                    const list = await listRecordings({ page_size: String(PAGE_SIZE), page_token: page ?? "" }, signal);
                    if (signal.aborted) {
                        return;
                    }
                    this.isPartial = false;
                    this.recordings = (list.paths ?? []).map((recording) => this.newest(recording));
                    this.nextPage = list.next_page_token ?? "";
                }
                this.listStatus = 200;
                this.isPageKnown = true;
                this.showState("list", "");
                this.showList();
            } catch (error) {
                if (signal.aborted) {
                    return;
                }
                const failure = error instanceof ApiFailure ? error : new ApiFailure(0, "INVALID", "the answer is not valid");
                ({ retryAfterMs } = failure);
                this.showState("list", `The list is not current: ${failure.message}.`);
                if (failure.isOfToken) {
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
                    this.nextPage = "";
                    this.isPageKnown = false;
                    this.showPageButtons();
                }
            }
            // A search of many requests is repeated after a longer time.
            await pause(Math.max(POLL_MS * requests, retryAfterMs), signal);
        }
    }

    /**
     * Returns the newest known state of a recording. An event may arrive before the list that the server has read before it.
     * @param {Recording} recording a recording of the list
     */
    newest(recording) {
        const { selected } = this;
        if (selected?.name !== recording.name) {
            return recording;
        }
        const [listed, known] = [recording, selected].map(({ update_time: time }) => Date.parse(time ?? ""));
        return listed <= known ? selected : recording;
    }

    /** @param {string} name */
    select(name) {
        // A stream that has ended is opened again: the recording may have been deleted and made again.
        if (this.selectedName !== name || this.following === null) {
            this.selectedName = name;
            this.selected = this.recordings.find((recording) => recording.name === name) ?? null;
            this.trail = [];
            this.showSelected();
            this.keepsInView = this.isFitting = true;
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
                if (failure?.isOfToken) {
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
        byId("live-partial").hidden = !this.isPartial;
        byId("live-empty").hidden = recordings.length > 0 || reason !== "" || this.listStatus === null;
        byId("live-hint").hidden = recordings.length === 0 || this.selectedName !== "";
        this.showPageButtons();
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
            return "The server requires a token to show recordings. Enter one.";
        }
        if (this.listStatus === 403) {
            return "This token does not permit reading recordings.";
        }
        if (this.listStatus === 200 && this.prefix) {
            // The isolates keep the order of the sentence with names that are written from right to left.
            return `No recording has a name that starts with “\u2068${this.prefix}\u2069”.`;
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
            setText(byId("live-age"), fixAge(this.selected));
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
        this.map.setLines(coordinates.length > 1 ? [line] : [], isPlanar, !this.map.isFitted);
        this.map.setMarkers(markers);
        const marker = markers.find(({ color }) => color === "cursor");
        const box = path.box ?? (marker ? { minX: marker.x, maxX: marker.x, minY: marker.y, maxY: marker.y } : null);
        if (this.keepsInView && box) {
            this.map.keep(box, this.isFitting);
            // The box around the recording, or its last position, is shown until more is known.
            this.isFitting = this.trail.length === 0;
        }
        this.showFollowButton();
    }

    /** Moves the map to the selected recording, and keeps it in view. */
    keepInView() {
        this.keepsInView = this.isFitting = true;
        this.showMap();
        // The button is hidden, and would lose the focus.
        this.map.canvas.focus();
        announce("The map shows the selected recording");
    }

    showFollowButton() {
        setText(this.followButton, this.selected?.complete ? "Show the recording" : "Follow the recording");
        this.followButton.hidden = this.keepsInView || this.selectedName === "";
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
            stat(fix?.time ? "Last fix" : "Last update", fixAge(selected), "live-age"),
            stat("Points", formatCount(selected.committed_points ?? 0, "point"), "live-points"),
            stat("All points", formatLength(summary?.raw_length_m ?? summary?.raw_length, isPlanar)),
            summary?.estimated_length_m == null
                ? null
                : stat("Estimated", `${formatLength(summary.estimated_length_m)} (${formatLength(summary.estimated_length_low_m)} to ${formatLength(summary.estimated_length_high_m)})`),
            moving == null ? null : stat("Moving", formatDuration(moving)),
            summary?.max_speed_mps == null ? null : stat("Highest speed", formatSpeed(summary.max_speed_mps)),
            summary?.ascent_m == null ? null : stat("Ascent", `${formatNumber(summary.ascent_m)}\u00a0m`),
            fix?.z == null ? null : stat("Elevation", `${formatNumber(fix.z)}${isPlanar ? "" : "\u00a0m"}`),
            fix?.accuracy_m == null ? null : stat("Accuracy", `${formatNumber(fix.accuracy_m)}\u00a0m`),
            stat("Started (UTC)", formatTime(selected.create_time)),
        ];
        byId("live-figures").replaceChildren(...entries.filter((entry) => entry !== null));
        const windows = summary?.windows ?? [];
        byId("live-days").hidden = windows.length === 0;
        if (windows.length > 0) {
            const period = (summary?.options?.windows?.unit ?? "DAY").toLowerCase().replace("window_unit_", "");
            const zone = summary?.options?.windows?.time_zone;
            const days = windows.map((window) => ({ start: localStart(window, zone), length: window.length_m ?? window.length ?? 0 }));
            const key = JSON.stringify(days);
            // The table stays as it is while nothing changes.
            if (byId("live-days").dataset.key !== key) {
                byId("live-days").dataset.key = key;
                showBars(byId("live-days"), days, isPlanar, period);
            }
        }
    }
}

/**
 * Reads a page of recordings without their windows and trips, so that it has as many recordings as it may have.
 * @param {Record<string, string>} parameters those that are empty are left out
 * @param {AbortSignal} signal
 * @returns {Promise<RecordingList>}
 */
function listRecordings(parameters, signal) {
    const given = Object.entries(parameters).filter(([, value]) => value !== "");
    return readJson(`api/paths?${new URLSearchParams([...given, ["view", "BASIC"]])}`, signal);
}

/**
 * Finds the recordings whose names start with a text, in the form that people read or with escapes, whatever the case of the letters.
 * The server compares bytes, so the names are compared here. If the server has too many recordings, only the first ones are compared,
 * and the server finds those with the letters as they were entered, in small letters, in capitals, and with a capital at the start.
 * @param {string} text
 * @param {AbortSignal} signal
 */
async function searchRecordings(text, signal) {
    const wanted = foldCase(text.replace(/^paths\//, ""));
    /** @type {Map<string, Recording>} */
    const found = new Map();
    const add = (/** @type {RecordingList} */ list) => {
        for (const recording of list.paths ?? []) {
            const { name } = recording;
            if ([formatName(name), name.replace(/^paths\//, "")].some((form) => foldCase(form).startsWith(wanted))) {
                found.set(name, recording);
            }
        }
    };
    let [requests, token] = [0, ""];
    do {
        const list = await listRecordings({ page_size: String(SEARCH_PAGE_SIZE), page_token: token }, signal);
        add(list);
        requests += 1;
        token = list.next_page_token ?? "";
    } while (token && requests < SEARCH_PAGES_MAX);
    const isPartial = token !== "";
    for (const prefix of isPartial ? prefixesOf(text.replace(/^paths\//, "")) : []) {
        add(await listRecordings({ page_size: String(SEARCH_PAGE_SIZE), prefix }, signal));
        requests += 1;
    }
    return { recordings: [...found.values()], requests, isPartial };
}

/**
 * Returns the beginnings of IDs for the usual cases of the letters of a text.
 * @param {string} text
 */
function prefixesOf(text) {
    const [first = "", ...rest] = text.toLowerCase();
    const cases = [text, text.toLowerCase(), text.toUpperCase(), first.toUpperCase() + rest.join("")];
    const prefixes = cases.flatMap((form) => [form, escapeName(form.normalize("NFC"))]);
    // The server refuses other ones.
    return [...new Set(prefixes)].filter((prefix) => /^[\w.~-]{1,128}$/.test(prefix));
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

/**
 * Returns the age of the last point, or of the last update if the points have no times.
 * @param {Recording} recording
 */
function fixAge(recording) {
    return formatAge(recording.last_point?.time ?? recording.update_time, Date.now());
}

/**
 * Returns the text of a recording in the list.
 * @param {Recording} recording
 */
function ageText(recording) {
    return recording.complete ? "finished" : fixAge(recording);
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
 * Returns the day and the time at which a window starts in its time zone, as yyyy-MM-ddTHH:mm.
 * @param {{start_time: string}} window
 * @param {string | undefined} zone
 */
function localStart(window, zone) {
    try {
        const format = new Intl.DateTimeFormat("sv", { timeZone: zone || "UTC", dateStyle: "short", timeStyle: "short" });
        return format.format(new Date(window.start_time)).replace(" ", "T");
    } catch {
        return window.start_time.slice(0, 16);
    }
}
