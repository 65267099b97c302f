// Formats values for people. Times are in UTC, as in the output of the program.

/**
 * Returns a number with this many decimals and groups of three digits.
 * @param {number} value
 * @param {number} [digits]
 */
export function formatNumber(value, digits = 0) {
    return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: true });
}

/**
 * Returns a length as a number and its unit. A planar length has no unit.
 * @param {number} length
 * @param {boolean} [isPlanar]
 * @returns {[string, string]}
 */
export function lengthParts(length, isPlanar = false) {
    const size = Math.abs(length);
    if (isPlanar) {
        return [formatNumber(length, size < 1000 ? 3 : 1), ""];
    }
    if (size < 1000) {
        return [formatNumber(length, size < 100 ? 1 : 0), "m"];
    }
    return [formatNumber(length / 1000, size < 1e5 ? 2 : size < 1e6 ? 1 : 0), "km"];
}

/**
 * @param {number | null | undefined} length
 * @param {boolean} [isPlanar]
 */
export function formatLength(length, isPlanar = false) {
    return length == null ? "–" : lengthParts(length, isPlanar).join("\u00a0").trim();
}

/**
 * Returns a length on a scale, which has as few digits as it needs.
 * @param {number} length
 * @param {boolean} isPlanar
 */
export function formatRoundLength(length, isPlanar) {
    const [value, unit] = isPlanar ? [length, ""] : length < 1000 ? [length, "\u00a0m"] : [length / 1000, "\u00a0km"];
    return `${value.toLocaleString("en", { maximumSignificantDigits: 6 })}${unit}`;
}

/** @param {number | null | undefined} speed in m/s, or in units of planar coordinates per second
 *  @param {boolean} [isPlanar] */
export function formatSpeed(speed, isPlanar = false) {
    if (speed == null) {
        return "–";
    }
    return isPlanar ? `${formatNumber(speed, 2)} per s` : `${formatNumber(speed * 3.6, 1)}\u00a0km/h`;
}

/** @param {number | null | undefined} seconds */
export function formatDuration(seconds) {
    if (seconds == null || !Number.isFinite(seconds)) {
        return "–";
    }
    const whole = Math.round(seconds);
    const parts = [
        [Math.floor(whole / 86400), "d"],
        [Math.floor(whole / 3600) % 24, "h"],
        [Math.floor(whole / 60) % 60, "min"],
        [whole % 60, "s"],
    ];
    const first = parts.findIndex(([count]) => Number(count) > 0);
    if (first < 0) {
        return "0\u00a0s";
    }
    // Two units are enough.
    return parts.slice(first, first + 2).filter(([count]) => Number(count) > 0).map((part) => part.join("\u00a0")).join(" ");
}

/** @param {string | number | null | undefined} time RFC 3339 text, or milliseconds since 1970 */
export function formatTime(time) {
    const date = time == null ? null : new Date(time);
    if (!date || Number.isNaN(date.getTime())) {
        return "–";
    }
    return `${date.toISOString().slice(0, 10)} ${date.toISOString().slice(11, 16)}`;
}

/** @param {number} time milliseconds since 1970 */
export function formatClock(time) {
    return new Date(time).toISOString().slice(11, 19);
}

/** @param {string | undefined} text a duration such as "90.5s" */
export function seconds(text) {
    return text === undefined ? null : Number.parseFloat(text);
}

/** @param {string | undefined} time
 *  @param {number} now */
export function formatAge(time, now) {
    if (!time) {
        return "–";
    }
    const age = (now - Date.parse(time)) / 1000;
    return age < 1 ? "just now" : `${formatDuration(age)} ago`;
}

/** @param {number} longitude
 *  @param {number} latitude */
export function formatPosition(longitude, latitude) {
    const part = (/** @type {number} */ value, /** @type {string} */ sides) =>
        `${Math.abs(value).toFixed(5)}°\u00a0${value < 0 ? sides[1] : sides[0]}`;
    return `${part(latitude, "NS")}, ${part(longitude, "EW")}`;
}

/**
 * Escapes the bytes that a name of a recording cannot have, as the server does with the names of phones.
 * @param {string} text
 */
export function escapeName(text) {
    const escaped = (/** @type {number} */ byte) => `~${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    return text.replace(/[^\w.-]+/g, (part) => [...new TextEncoder().encode(part)].map(escaped).join(""));
}

/**
 * Returns a text in a form that is equal for texts which differ only in the case of their letters, or in the way in which accents are
 * encoded. It does not depend on the language of the browser.
 * @param {string} text
 */
export function foldCase(text) {
    // Capitals join letters such as ß and SS. The dotted capital I of Turkish has a second character in small letters, and the small
    // sigma of Greek has another form at the end of a word.
    const folded = text.normalize("NFKC").toUpperCase().toLowerCase();
    return folded.replaceAll("i\u0307", "i").replaceAll("ς", "σ").normalize("NFKC");
}

/**
 * Returns the name of a recording for people: without its collection and without escapes. A name stays as it is if the escapes are not
 * those of a text, or are of characters that cannot be seen.
 * @param {string} name
 */
export function formatName(name) {
    const id = name.replace(/^paths\//, "");
    try {
        const text = decodeURIComponent(id.replaceAll("~", "%"));
        return escapeName(text) === id && !/[\p{C}\p{Zl}\p{Zp}]/u.test(text) ? text : id;
    } catch {
        return id;
    }
}

/**
 * Returns a number of bytes with a binary unit and at most one decimal place.
 * @param {number} bytes
 */
export function formatSize(bytes) {
    const [size, unit] = bytes < 1 << 10 ? [bytes, "bytes"] : bytes < 1 << 20 ? [bytes / (1 << 10), "KiB"] : [bytes / (1 << 20), "MiB"];
    return `${size.toLocaleString("en", { maximumFractionDigits: 1 })}\u00a0${unit}`;
}

/** @param {number} count
 *  @param {string} noun */
export function formatCount(count, noun) {
    return `${formatNumber(count)}\u00a0${noun}${count === 1 ? "" : "s"}`;
}
