// The apps that can send positions, with the addresses, links and settings that they take. docs/phones.md describes them.

/**
 * What is needed to set up an app.
 * @typedef {{base: string, token: string, device: string}} Setup
 */
/**
 * @typedef {object} App
 * @property {string} id
 * @property {string} name
 * @property {string} systems
 * @property {(setup: Setup) => string} address
 * @property {((setup: Setup) => string) | null} link a text that the app reads from a QR code or opens as a link
 * @property {((setup: Setup) => string) | null} code the text of the QR code, if it is neither the link nor the address
 * @property {string} linkHelp
 * @property {(setup: Setup) => [string, string][]} settings
 * @property {boolean} hasTokenInAddress
 * @property {(setup: Setup) => string} [recording] the name of the recording, if it is not that of the phone
 * @property {boolean} [hasNameInHeader] whether the app sends the name in a header, which not every app can do with letters beyond ASCII
 */

/** @param {Setup} setup
 *  @param {string} protocol */
const withToken = ({ base, token }, protocol) => `${base}ingest/${protocol}${token ? `/${encodeURIComponent(token)}` : ""}`;

/**
 * Escapes a name for an address that an app completes: either nothing or every byte. The quote of a name such as "Jane's" would end the
 * replacements of OsmAnd, and GPSLogger would take the escape %AC with a letter C after it for the accuracy.
 * @param {string} text
 */
const escapeAll = (text) =>
    /^[\w.-]*$/.test(text)
        ? text
        : [...new TextEncoder().encode(text)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");

/**
 * Returns the query of an address. A space is %20, because not every app takes a plus for a space.
 * @param {Record<string, string>} values
 */
const queryOf = (values) =>
    Object.entries(values).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");

/** Returns the user name of Basic credentials, which ends at a colon. @param {string} device */
const userOf = (device) => device.replaceAll(":", "-");

/** Encodes text as base64 of its UTF-8 bytes. @param {string} text */
const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** @type {App[]} */
export const APPS = [
    {
        id: "owntracks",
        name: "OwnTracks",
        systems: "Android, iOS",
        address: ({ base }) => `${base}ingest/owntracks`,
        link: ({ base, token, device }) => {
            const configuration = {
                _type: "configuration",
                mode: 3,
                url: `${base}ingest/owntracks`,
                auth: token !== "",
                username: userOf(device),
                password: token,
                deviceId: device,
                tid: [...device].slice(-2).join(""),
            };
            return `owntracks:///config?inline=${encodeURIComponent(base64(JSON.stringify(configuration)))}`;
        },
        code: null,
        linkHelp: "Scan the code with the camera of the phone. OwnTracks opens and imports the settings.",
        settings: ({ token, device }) => [
            ["Mode", "HTTP"],
            ["User", userOf(device)],
            ["Password", token],
            ["Device", device],
        ],
        hasTokenInAddress: false,
        recording: ({ device }) => `${userOf(device)}/${device}`,
        hasNameInHeader: true,
    },
    {
        id: "overland",
        name: "Overland",
        systems: "iOS",
        address: (setup) => `${setup.base}ingest/overland`,
        link: ({ base, token, device }) =>
            `overland://setup?${queryOf({ url: `${base}ingest/overland`, token, device_id: device })}`,
        code: null,
        linkHelp: "Scan the code with the camera of the phone. Overland opens and imports the settings.",
        settings: ({ token, device }) => [
            ["Access token", token],
            ["Device ID", device],
        ],
        hasTokenInAddress: false,
    },
    {
        id: "traccar",
        name: "Traccar Client",
        systems: "version 9 and later",
        address: (setup) => withToken(setup, "traccar"),
        link: null,
        code: (setup) => `${withToken(setup, "traccar")}?${queryOf({ id: setup.device, interval: "60" })}`,
        linkHelp: "Scan the code in the settings of the app.",
        settings: ({ device }) => [["Device identifier", device]],
        hasTokenInAddress: true,
    },
    {
        id: "traccar-8",
        name: "Traccar Client",
        systems: "up to version 8",
        address: (setup) => withToken(setup, "osmand"),
        link: null,
        code: null,
        linkHelp: "Scan the code to copy the address to the phone.",
        settings: ({ device }) => [
            ["Device identifier", device],
            ["Offline buffering", "on"],
        ],
        hasTokenInAddress: true,
    },
    {
        id: "osmand",
        name: "OsmAnd",
        systems: "Android, iOS",
        address: (setup) =>
            `${withToken(setup, "osmand")}?id=${escapeAll(setup.device)}&lat={0}&lon={1}&timestamp={2}&altitude={4}`,
        link: null,
        code: null,
        linkHelp: "Scan the code to copy the address to the phone.",
        settings: () => [["Plugin", "Trip recording, online tracking"]],
        hasTokenInAddress: true,
    },
    {
        id: "gpslogger",
        name: "GPSLogger",
        systems: "Android",
        address: (setup) =>
            `${setup.base}ingest/osmand?id=${escapeAll(setup.device)}&lat=%LAT&lon=%LON&timestamp=%TIMESTAMP&altitude=%ALT&accuracy=%ACC`,
        link: null,
        code: null,
        linkHelp: "Scan the code to copy the address to the phone.",
        settings: ({ token, device }) => [
            ["Logging details", "Log to custom URL"],
            ["User of the basic authentication", userOf(device)],
            ["Password", token],
        ],
        hasTokenInAddress: false,
    },
    {
        id: "forward",
        name: "Traccar server",
        systems: "a server with its own trackers",
        address: ({ base }) => `${base}ingest/forward`,
        link: null,
        code: null,
        linkHelp: "",
        settings: ({ base, token }) => [
            ["forward.url", `${base}ingest/forward`],
            ["forward.type", "json"],
            ["forward.header", token ? `Authorization: Bearer ${token}` : ""],
            ["forward.retry.enable", "true"],
        ],
        hasTokenInAddress: false,
    },
];
