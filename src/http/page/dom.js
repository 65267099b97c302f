// Makes elements. Nothing in the page parses text as HTML, so that names in files cannot add elements.

/**
 * Returns an element with attributes and children. A handler has a name such as "onclick". A value of null or false leaves the
 * attribute out.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number | boolean | null | ((event: any) => void)>} [attributes]
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (typeof value === "function") {
            made.addEventListener(key.slice(2), value);
        } else if (value !== null && value !== false) {
            made.setAttribute(key, value === true ? "" : String(value));
        }
    }
    for (const child of children) {
        if (child !== null) {
            made.append(child);
        }
    }
    return made;
}

/**
 * Returns an SVG element.
 * @param {string} name
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
export function shape(name, attributes = {}, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) {
        made.setAttribute(key, String(value));
    }
    made.append(...children);
    return made;
}

/**
 * Returns the element with an identifier.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
    const found = document.getElementById(id);
    if (!found) {
        throw new Error(`the page has no element ${id}`);
    }
    return found;
}

/**
 * Returns a table in a box that scrolls sideways.
 * @param {string} caption
 * @param {boolean} hasVisibleCaption whether the caption is not in a heading above the table
 * @param {{text: string, numeric?: boolean}[]} columns
 * @param {(Node | string)[][]} rows
 * @returns {HTMLElement}
 */
export function table(caption, hasVisibleCaption, columns, rows) {
    const head = element("tr");
    for (const { text, numeric } of columns) {
        head.append(element("th", { scope: "col", class: numeric ? "numeric" : null }, text));
    }
    const body = element("tbody");
    for (const cells of rows) {
        const row = element("tr");
        cells.forEach((cell, index) => {
            row.append(element("td", { class: columns[index]?.numeric ? "numeric" : null }, cell));
        });
        body.append(row);
    }
    const title = element("caption", {}, element("span", { class: hasVisibleCaption ? null : "visually-hidden" }, caption));
    const made = element("table", {}, title, element("thead", {}, head), body);
    return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, made);
}

/**
 * Returns a button that copies a text.
 * @param {() => string} text
 * @param {string} label
 * @returns {HTMLButtonElement}
 */
export function copyButton(text, label) {
    const button = element("button", { type: "button", class: "quiet", "aria-label": label }, "Copy");
    button.addEventListener("click", async () => {
        let result = "Copied";
        try {
            await navigator.clipboard.writeText(text());
        } catch {
            // Without https the browser has no clipboard. The text can still be selected.
            result = "Select and copy the text";
        }
        button.textContent = result;
        announce(result);
        setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    return button;
}

/**
 * Makes a screen reader say a text.
 * @param {string} text
 */
export function announce(text) {
    byId("announcer").textContent = text;
}
