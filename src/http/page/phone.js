// The view that sets up a phone: per app the address, the token, a QR code and the settings.

import { ApiFailure, isAllowedToken, pause, requestBlob, token } from "./api.js";
import { APPS } from "./apps.js";
import { byId, copyButton, element } from "./dom.js";
import { escapeName } from "./format.js";

/** Maximum number of bytes of the escaped name of a recording. */
const NAME_BYTES_MAX = 128;
/** Minimum number of characters of a token. */
const TOKEN_LENGTH_MIN = 32;

/** The view of apps. */
export class PhoneView {
    constructor() {
        this.app = APPS[0];
        /** @type {AbortController | null} */
        this.running = null;
        this.imageUrl = "";
        const address = /** @type {HTMLInputElement} */ (byId("phone-address"));
        address.value = new URL(".", location.href).href;
        const choices = byId("phone-apps");
        for (const app of APPS) {
            const input = element("input", { type: "radio", name: "app", value: app.id, checked: app === this.app });
            input.addEventListener("change", () => {
                this.app = app;
                this.show();
            });
            choices.append(element("label", {}, input, element("span", {}, app.name, element("small", {}, app.systems))));
        }
        for (const id of ["phone-address", "phone-token", "phone-device"]) {
            byId(id).addEventListener("input", () => this.show());
        }
    }

    /** @param {boolean} isOpen whether the view is shown */
    setOpen(isOpen) {
        if (isOpen) {
            this.show();
        }
    }

    /** Forgets the token of the phone and everything that contains it. */
    clear() {
        /** @type {HTMLInputElement} */ (byId("phone-token")).value = "";
        this.show();
    }

    /** Returns what the fields say. The address ends with a slash. */
    setup() {
        const value = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id)).value.trim();
        const base = value("phone-address").replace(/\/*$/, "/");
        return { base, token: value("phone-token"), device: value("phone-device") || "phone" };
    }

    show() {
        const setup = this.setup();
        const { app } = this;
        const address = app.address(setup);
        const link = app.link?.(setup) ?? null;
        const warnings = [];
        if (!/^https?:\/\/[^/\s]+\//.test(setup.base)) {
            warnings.push("The address is not complete. It starts with http or https, a colon and two slashes, and has the name of the server.");
        } else if (/^https?:\/\/(localhost|127\.|\[::1\])/.test(setup.base)) {
            warnings.push("Only this machine can reach this address. Enter the address under which the phone reaches the server.");
        } else if (setup.base.startsWith("http:")) {
            warnings.push("Without https, others in the network can read the positions and the token.");
        }
        if (!isAllowedToken(setup.token)) {
            warnings.push("The token has characters that are not allowed.");
        } else if (token() && setup.token.length < TOKEN_LENGTH_MIN) {
            warnings.push(
                setup.token ? `The token is too short: it has at least ${TOKEN_LENGTH_MIN} characters.` : "The server requires a token. Enter one for the phone.",
            );
        }
        if (app.hasTokenInAddress && setup.token) {
            warnings.push("The address contains the token. Keep it secret.");
        }
        if (app.hasNameInHeader && !/^[ -~]*$/.test(setup.device)) {
            warnings.push(`${app.name} sends the name in a header. Use only the letters A-Z and a-z, digits and signs such as - and _.`);
        }
        const recording = app.recording?.(setup) ?? setup.device;
        const { length } = escapeName(recording);
        if (length > NAME_BYTES_MAX) {
            const parts = app.recording ? ` ${app.name} sends the name twice.` : "";
            warnings.push(
                `The name is too long: it counts ${length}, and at most ${NAME_BYTES_MAX} are allowed. A letter or digit of A-Z a-z 0-9 - _ . counts 1, a letter of another script 6 or 9, and other characters 3 to 12.${parts}`,
            );
        }
        byId("phone-recording").hidden = app.recording === undefined;
        byId("phone-recording").textContent = `The list of recordings shows the phone as ${recording}.`;
        byId("phone-warnings").replaceChildren(...warnings.map((text) => element("li", {}, text)));
        const copied = (/** @type {string} */ label, /** @type {string} */ text) =>
            element(
                "div",
                {},
                element("dt", {}, label),
                element("dd", {}, element("code", {}, text), text ? copyButton(() => text, `Copy: ${label}`) : null),
            );
        byId("phone-settings").replaceChildren(
            copied("Address", address),
            ...app.settings(setup).filter(([, text]) => text !== "").map(([label, text]) => copied(label, text)),
        );
        const anchor = /** @type {HTMLAnchorElement} */ (byId("phone-link"));
        anchor.hidden = link === null;
        anchor.textContent = link === null ? "" : `Open in ${app.name} on this device`;
        anchor.href = link ?? "#phone";
        this.showCode(app.linkHelp === "" ? null : app.code?.(setup) ?? link ?? address);
    }

    /**
     * Shows a text as a QR code that the server makes. The page has no other use for the picture, so that it is the only copy.
     * @param {string | null} text
     */
    async showCode(text) {
        this.running?.abort();
        const running = new AbortController();
        this.running = running;
        const place = byId("phone-code");
        place.hidden = text === null;
        byId("phone-help").textContent = "";
        // The code of the settings before is not valid any more.
        place.replaceChildren();
        URL.revokeObjectURL(this.imageUrl);
        this.imageUrl = "";
        if (text === null) {
            return;
        }
        try {
            // One request for several keys.
            await pause(200, running.signal);
            if (running.signal.aborted) {
                return;
            }
            const picture = await requestBlob("api/qr", { method: "POST", body: text, signal: running.signal });
            if (running.signal.aborted) {
                return;
            }
            const url = URL.createObjectURL(picture);
            byId("phone-help").textContent = this.app.linkHelp;
            place.replaceChildren(element("img", { src: url, alt: `QR code for ${this.app.name}`, width: 232, height: 232 }));
            this.imageUrl = url;
        } catch (error) {
            if (running.signal.aborted) {
                return;
            }
            const isMissing = error instanceof ApiFailure && [404, 405].includes(error.status);
            const reason = error instanceof Error ? error.message : "";
            place.replaceChildren(
                element("p", { class: "note" }, isMissing ? "This server makes no QR codes. Copy the settings instead." : `No QR code: ${reason}.`),
            );
        }
    }
}
