// Starts the page: reads its data, opens the view that the address names, and keeps the token.

import { TOKEN_REFUSED, isAllowedToken, setToken, token } from "./api.js";
import { byId } from "./dom.js";
import { LiveView } from "./live.js";
import { MeasureView } from "./measure.js";
import { PhoneView } from "./phone.js";

const VIEWS = ["measure", "live", "phone"];

/**
 * Returns what the server, or the command that writes a report, has put into the page.
 * @returns {PageData}
 */
function readData() {
    return JSON.parse(byId("data").textContent || "{}");
}

/** Starts the page, and returns its views. */
function start() {
    const data = readData();
    const field = /** @type {HTMLInputElement} */ (byId("token"));
    const panel = /** @type {HTMLDetailsElement} */ (byId("token-panel"));
    const requestToken = (/** @type {{message: string}} */ failure) => {
        panel.open = true;
        byId("token-message").textContent = `${failure.message}.`;
        field.focus();
    };
    const measure = new MeasureView(data, requestToken);
    if (data.report) {
        byId("measure").hidden = false;
        return { measure };
    }
    const live = new LiveView(data, requestToken);
    const phone = new PhoneView();
    const open = () => {
        const wanted = location.hash.slice(1);
        const view = VIEWS.includes(wanted) ? wanted : VIEWS[0];
        for (const name of VIEWS) {
            byId(name).hidden = name !== view;
            const link = document.querySelector(`nav a[href="#${name}"]`);
            if (name === view) {
                link?.setAttribute("aria-current", "page");
            } else {
                link?.removeAttribute("aria-current");
            }
        }
        document.title = `${document.querySelector(`nav a[href="#${view}"]`)?.textContent} · waywiser`;
        live.setOpen(view === "live");
        phone.setOpen(view === "phone");
    };
    addEventListener("hashchange", () => {
        open();
        byId("content").focus({ preventScroll: true });
        scrollTo(0, 0);
    });
    open();
    // The address keeps the name of the view.
    document.querySelector(".skip")?.addEventListener("click", (event) => {
        event.preventDefault();
        byId("content").focus();
    });
    const showToken = () => {
        byId("token-state").textContent = token() ? "Token set" : "Token";
        byId("token-forget").hidden = !token();
    };
    const useToken = (/** @type {string} */ text) => {
        setToken(text);
        field.value = "";
        byId("token-message").textContent = "";
        panel.open = false;
        showToken();
        live.clear();
        live.restart();
        measure.measure();
        phone.clear();
    };
    byId("token-form").addEventListener("submit", (event) => {
        event.preventDefault();
        const text = field.value.trim();
        if (isAllowedToken(text)) {
            useToken(text);
        } else {
            requestToken({ message: TOKEN_REFUSED });
        }
    });
    byId("token-forget").addEventListener("click", () => useToken(""));
    panel.addEventListener("keydown", (event) => {
        if (event.key === "Escape") {
            panel.open = false;
            byId("token-state").focus();
        }
    });
    showToken();
    return { measure, live, phone };
}

/** The views of the page. */
export const views = start();
