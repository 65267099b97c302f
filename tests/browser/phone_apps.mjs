// Requests of phone apps, made from what the page shows: the settings, the link, or the text of the QR code.
import http from "node:http";

/** A position that an app sends. The time is that of the test, because apps send current positions. */
export function fixes(count) {
    const start = Math.floor(Date.now() / 1000) - 60 * count;
    return Array.from({ length: count }, (_, index) => ({
        lat: 46.05 + index * 0.001, lon: 14.5, altitude: 300, accuracy: 5, seconds: start + 60 * index,
    }));
}

/** Sends a request with exactly these headers, which fetch does not. Returns the status and the body of the answer. */
function send(method, address, headers, body = "") {
    return new Promise((resolve, reject) => {
        const request = http.request(address, { method, headers: { ...headers, "Content-Length": Buffer.byteLength(body) } }, (answer) => {
            let text = "";
            answer.on("data", (data) => (text += data));
            answer.on("end", () => resolve({ status: answer.statusCode, text }));
        });
        request.on("error", reject);
        request.end(body);
    });
}

const basic = (user, password) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
const iso = ({ seconds }) => new Date(seconds * 1000).toISOString();

/** The settings of OwnTracks, from its link or from what is typed. */
function ownTracks(fix, { url, user, password, device }) {
    const headers = { Authorization: basic(user, password), "X-Limit-U": user, "X-Limit-D": device, "User-Agent": "Owntracks-Android/gms/420500000" };
    const { lat, lon, accuracy: acc, altitude: alt, seconds: tst } = fix;
    const message = { _type: "location", lat, lon, acc, alt, tst, tid: device.slice(-2), topic: `owntracks/${user}/${device}`, t: "u" };
    return send("POST", url, { ...headers, "Content-Type": "application/json" }, JSON.stringify(message));
}

function overland(fix, { url, token, device }) {
    const feature = {
        type: "Feature",
        geometry: { type: "Point", coordinates: [fix.lon, fix.lat] },
        properties: { timestamp: iso(fix), altitude: fix.altitude, horizontal_accuracy: fix.accuracy, motion: ["walking"], device_id: device },
    };
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json", "User-Agent": "Overland/1.3 CFNetwork/1496.0.7 Darwin/23.5.0" };
    return send("POST", url, headers, JSON.stringify({ locations: [feature], current: feature }));
}

function traccar(fix, { url, device }) {
    const coords = { latitude: fix.lat, longitude: fix.lon, accuracy: fix.accuracy, altitude: fix.altitude, speed: 1.5, heading: 0 };
    const message = { location: { timestamp: iso(fix), coords, is_moving: true, event: "motionchange" }, device_id: device };
    return send("POST", url, { "Content-Type": "application/json", "User-Agent": "okhttp/4.12.0" }, JSON.stringify(message));
}

function oldTraccar(fix, { url, device }) {
    const query = new URL(url);
    const { lat, lon, altitude, accuracy, seconds: timestamp } = fix;
    for (const [name, value] of Object.entries({ id: device, timestamp, lat, lon, speed: 2.9, bearing: 0, altitude, accuracy, batt: 80 })) {
        query.searchParams.append(name, String(value));
    }
    return send("POST", query, { "User-Agent": "Dalvik/2.1.0 (Linux; U; Android 13; Pixel 6 Build/TQ3A.230805.001)" });
}

/**
 * OsmAnd replaces the placeholders by latitude, longitude, time in milliseconds, HDOP, altitude, speed and bearing, as MessageFormat of
 * Java does: text between single quotes stays as it is.
 */
function osmAnd(fix, { url }) {
    const values = [fix.lat, fix.lon, fix.seconds * 1000, 1.2, fix.altitude, 2.5, 0];
    const parts = url.split("'");
    const address = parts.map((part, at) => (at % 2 ? part : part.replace(/\{(\d)\}/g, (_, index) => String(values[Number(index)])))).join("");
    return send("GET", address, { "User-Agent": "OsmAnd" });
}

/** GPSLogger replaces its placeholders one after the other, anywhere in the address, in upper and lower case. */
function gpsLogger(fix, { url, user, password }) {
    const placeholders = {
        lat: fix.lat, lon: fix.lon, sat: 7, desc: "", alt: fix.altitude, acc: fix.accuracy, dir: 0, prov: "gps", spd: 1.5,
        timestamp: fix.seconds, time: iso(fix), date: iso(fix).slice(0, 10), batt: 80, aid: "0", ser: "0", act: "", filename: "track",
    };
    let address = url;
    for (const [name, value] of Object.entries(placeholders)) {
        address = address.replace(new RegExp(`%${name}`, "gi"), String(value));
    }
    return send("GET", address, { Authorization: basic(user, password), "User-Agent": "okhttp/4.9.3" });
}

function forwarded(fix, settings) {
    const [name, value] = settings["forward.header"].split(": ");
    const time = iso(fix).replace("Z", "+00:00");
    const position = {
        fixTime: time, deviceTime: time, latitude: fix.lat, longitude: fix.lon, altitude: fix.altitude, accuracy: fix.accuracy,
        valid: true, outdated: false, speed: 3, protocol: "gt06",
    };
    const message = JSON.stringify({ position, device: { uniqueId: "tracker-1", name: "Van" } });
    return send("POST", settings["forward.url"], { [name]: value, "Content-Type": "application/json" }, message);
}

/**
 * For each app of the page, by the value of its choice: how it reads the settings that the user types and the text of the code, what
 * it sends, which answer it takes for success, and the name of the recording.
 */
export const PHONE_APPS = {
    owntracks: {
        typed: (settings) => ({ url: settings.Address, user: settings.User, password: settings.Password, device: settings.Device }),
        scanned(text) {
            const link = new URL(text);
            const json = JSON.parse(Buffer.from(link.searchParams.get("inline"), "base64").toString());
            if (link.protocol !== "owntracks:" || json._type !== "configuration" || json.mode !== 3 || json.auth !== true) {
                throw new Error(`OwnTracks does not take ${text}`);
            }
            return { url: json.url, user: json.username, password: json.password, device: json.deviceId };
        },
        send: ownTracks,
        isSuccess: ({ status, text }) => status >= 200 && status < 300 && text === "[]",
        recording: (device) => `${device.replaceAll("~3A", "-")}~2F${device}`,
    },
    overland: {
        typed: (settings) => ({ url: settings.Address, token: settings["Access token"], device: settings["Device ID"] }),
        scanned(text) {
            const { host } = new URL(text);
            if (host !== "setup") {
                throw new Error(`Overland does not take ${text}`);
            }
            // NSURLComponents does not take a plus for a space.
            const value = (name) => decodeURIComponent(new RegExp(`[?&]${name}=([^&]*)`).exec(text)[1]);
            return { url: value("url"), token: value("token"), device: value("device_id") };
        },
        send: overland,
        isSuccess: ({ text }) => JSON.parse(text).result === "ok",
        recording: (device) => device,
    },
    traccar: {
        typed: (settings) => ({ url: settings.Address, device: settings["Device identifier"] }),
        scanned(text) {
            const url = new URL(text);
            return { url: `${url.origin}${url.pathname}`, device: url.searchParams.get("id") };
        },
        send: traccar,
        isSuccess: ({ status }) => status >= 200 && status < 300,
        recording: (device) => device,
    },
    "traccar-8": {
        typed: (settings) => ({ url: settings.Address, device: settings["Device identifier"] }),
        scanned: null,
        send: oldTraccar,
        isSuccess: ({ status }) => status === 200,
        recording: (device) => device,
    },
    osmand: {
        typed: (settings) => ({ url: settings.Address }),
        scanned: (text) => ({ url: text }),
        send: osmAnd,
        isSuccess: ({ status }) => status === 200,
        recording: (device) => device,
    },
    gpslogger: {
        typed: (settings) => ({ url: settings.Address, user: settings["User of the basic authentication"], password: settings.Password }),
        // The code has only the address.
        scanned: null,
        send: gpsLogger,
        isSuccess: ({ status }) => status === 200,
        recording: (device) => device,
    },
    forward: {
        typed: (settings) => settings,
        scanned: null,
        send: forwarded,
        isSuccess: ({ status }) => status >= 200 && status < 300,
        recording: () => "tracker-1",
    },
};
