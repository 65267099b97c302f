// Calls the JSON API. Addresses are relative, so that a proxy may serve the page under a path.

const TOKEN_KEY = "waywiser-token";
/** The message about a token that a header cannot carry. */
export const TOKEN_REFUSED = "the token has characters that are not allowed";
/** Maximum size of an event. */
const EVENT_SIZE_MAX = 4 << 20;
/** Maximum time between two attempts to connect, if the server asks for no longer one. */
const RETRY_MS_MAX = 15000;
/** Maximum time that a server can ask to wait. */
const RETRY_AFTER_MS_MAX = 300000;
/** Maximum time without a byte of a stream of events, or without the answer of a short request. The server sends a comment every 15 s. */
const SILENCE_MS_MAX = 45000;

/** Returns the token of this tab, or an empty text. */
export function token() {
    return sessionStorage.getItem(TOKEN_KEY) ?? "";
}

/**
 * Keeps the token until the tab is closed.
 * @param {string} text
 */
export function setToken(text) {
    if (text) {
        sessionStorage.setItem(TOKEN_KEY, text);
    } else {
        sessionStorage.removeItem(TOKEN_KEY);
    }
}

/**
 * Returns whether a header can carry a token.
 * @param {string} text
 */
export function isAllowedToken(text) {
    return /^[!-~]*$/.test(text);
}

/** An error that the server returned, or a failed connection: its status is then 0. */
export class ApiFailure extends Error {
    /**
     * @param {number} status
     * @param {string} reason
     * @param {string} message
     * @param {number} [retryAfterMs] the time that the server asks to wait
     */
    constructor(status, reason, message, retryAfterMs = 0) {
        super(message);
        this.status = status;
        this.reason = reason;
        this.retryAfterMs = retryAfterMs;
    }

    /** Returns whether another token can help. A proxy, or the check of the site that caused a request, refuses with 403, too. */
    get isOfToken() {
        return this.status === 401 || (this.status === 403 && ["ROLE_REQUIRED", "NAMESPACE_FORBIDDEN"].includes(this.reason));
    }
}

/** A limit of the time that a server is silent. A lost network or a stopped server closes no connection. */
class SilenceLimit {
    /** @param {AbortSignal} signal the signal that cancels the request earlier */
    constructor(signal) {
        const controller = new AbortController();
        this.signal = controller.signal;
        const cancel = () => controller.abort(signal.reason);
        signal.addEventListener("abort", cancel);
        /** @type {ReturnType<typeof setTimeout> | undefined} */
        this.timer = undefined;
        this.renew = () => {
            clearTimeout(this.timer);
            this.timer = setTimeout(() => {
                const message = `the server has sent nothing for ${SILENCE_MS_MAX / 1000} seconds`;
                controller.abort(new ApiFailure(0, "SILENT", message));
            }, SILENCE_MS_MAX);
        };
        this.end = () => {
            clearTimeout(this.timer);
            signal.removeEventListener("abort", cancel);
        };
        if (signal.aborted) {
            cancel();
        } else {
            this.renew();
        }
    }
}

/**
 * Returns the time in milliseconds that an answer asks to wait, or 0.
 * @param {Response} response
 */
function retryAfterOf(response) {
    const wait = 1000 * Number(response.headers.get("retry-after") ?? 0);
    return wait > 0 ? Math.min(wait, RETRY_AFTER_MS_MAX) : 0;
}

/**
 * Sends a request. It fails with an ApiFailure, or with an AbortError if it was cancelled.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
async function send(path, options = {}) {
    const headers = new Headers(options.headers);
    if (!isAllowedToken(token())) {
        throw new ApiFailure(401, "INVALID_TOKEN", TOKEN_REFUSED);
    }
    if (token()) {
        headers.set("authorization", `Bearer ${token()}`);
    }
    let response;
    try {
        // With other credentials, the browser would ask for a password of its own when the token is missing.
        response = await fetch(path, { ...options, headers, credentials: "omit", cache: "no-store" });
    } catch (error) {
        if (options.signal?.aborted) {
            throw options.signal.reason instanceof ApiFailure ? options.signal.reason : error;
        }
        throw new ApiFailure(0, "UNREACHABLE", "the server cannot be reached");
    }
    if (response.ok) {
        return response;
    }
    const body = await response.json().catch(() => null);
    const { reason, message } = body?.error ?? {};
    const text = message ?? `the server answered with status ${response.status}`;
    throw new ApiFailure(response.status, reason ?? "UNKNOWN", text, retryAfterOf(response));
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
export async function requestJson(path, options) {
    return (await send(path, options)).json();
}

/**
 * Reads a short answer, and fails if the server does not send it in time.
 * @param {string} path
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */
export async function readJson(path, signal) {
    const limit = new SilenceLimit(signal);
    try {
        return await requestJson(path, { signal: limit.signal });
    } catch (error) {
        throw limit.signal.reason instanceof ApiFailure ? limit.signal.reason : error;
    } finally {
        limit.end();
    }
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Blob>}
 */
export async function requestBlob(path, options) {
    return (await send(path, options)).blob();
}

/**
 * Reads a stream of events with fetch, because an EventSource cannot send a token. Connects again after a failure, with a wait
 * that doubles. Returns after the event "end", after an error that a retry cannot fix, or when it is cancelled.
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {(event: string, data: any) => void} onEvent
 * @param {(state: "connecting" | "open" | "lost" | "ended", error: ApiFailure | null) => void} onState
 */
export async function followEvents(path, signal, onEvent, onState) {
    let failures = 0;
    while (!signal.aborted) {
        /** @type {ApiFailure} */
        let failure = new ApiFailure(0, "CLOSED", "the server closed the connection");
        onState("connecting", null);
        const limit = new SilenceLimit(signal);
        try {
            const response = await send(path, { signal: limit.signal, headers: { accept: "text/event-stream" } });
            onState("open", null);
            failures = 0;
            for await (const [event, data] of eventsOf(response, limit)) {
                if (event === "end") {
                    onState("ended", null);
                    return;
                }
                if (event === "error") {
                    const { status, reason, message } = JSON.parse(data).error ?? {};
                    failure = new ApiFailure(status ?? 500, reason ?? "UNKNOWN", message ?? data);
                    break;
                }
                onEvent(event, JSON.parse(data));
            }
        } catch (error) {
            if (signal.aborted) {
                return;
            }
            const known = [limit.signal.reason, error].find((reason) => reason instanceof ApiFailure);
            failure = known ?? new ApiFailure(0, "CLOSED", "the connection was lost");
        } finally {
            limit.end();
        }
        const isFinal = failure.status >= 400 && failure.status < 500 && failure.status !== 429;
        onState(isFinal ? "ended" : "lost", failure);
        if (isFinal) {
            return;
        }
        const wait = Math.min(2000 * 2 ** failures, RETRY_MS_MAX) * (0.5 + Math.random() / 2);
        failures += 1;
        await pause(Math.max(wait, failure.retryAfterMs), signal);
    }
}

/**
 * Returns the events of a response, each with its name and its data.
 * @param {Response} response
 * @param {SilenceLimit} limit renewed with each part of the response
 * @returns {AsyncGenerator<[string, string]>}
 */
async function* eventsOf(response, limit) {
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    let text = "";
    while (reader) {
        limit.signal.throwIfAborted();
        const { done, value } = await reader.read();
        limit.renew();
        if (done) {
            return;
        }
        text += decoder.decode(value, { stream: true });
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
            const fields = text.slice(0, end).split("\n");
            text = text.slice(end + 2);
            const of = (/** @type {string} */ name) =>
                fields.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
            const data = of("data");
            if (data.length > 0) {
                yield [of("event")[0] ?? "message", data.join("\n")];
            }
        }
        if (text.length > EVENT_SIZE_MAX) {
            await reader.cancel();
            throw new ApiFailure(500, "EVENT_TOO_LARGE", "an event of the server is too large");
        }
    }
}

/**
 * Waits, or returns as soon as the signal is set.
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 */
export function pause(milliseconds, signal) {
    return new Promise((/** @type {(value: void) => void} */ resolve) => {
        const end = () => {
            clearTimeout(timer);
            signal.removeEventListener("abort", end);
            resolve();
        };
        const timer = setTimeout(end, milliseconds);
        signal.addEventListener("abort", end);
    });
}

/**
 * Returns the path of a recording in the API.
 * @param {string} name
 */
export function recordingPath(name) {
    const id = name.replace(/^paths\//, "");
    // Browsers remove the segments . and .. of a path, also if they are escaped.
    return `api/paths/${encodeURIComponent([".", ".."].includes(id) ? `paths/${id}` : id)}`;
}
