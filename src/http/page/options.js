// The options of a measurement: their controls, the query of the request, and the command line that prints the same numbers.

import { copyButton, element } from "./dom.js";
import { formatDuration, formatNumber } from "./format.js";

/** @param {number} value */
const speedText = (value) => `${value}\u00a0m/s (${formatNumber(value * 3.6, value < 10 ? 1 : 0)}\u00a0km/h)`;
/** @param {number} value */
const metresText = (value) => (value < 1000 ? `${value}\u00a0m` : `${formatNumber(value / 1000)}\u00a0km`);

/**
 * A slider. Its first position leaves the option out.
 * @typedef {{name: string, label: string, help: string, values: number[], text: (value: number) => string, suffix: string}} Slider
 */
/** @type {Slider[]} */
const SLIDERS = [
    {
        name: "max-speed",
        label: "Maximum speed",
        help: "Rejects points that need a higher speed",
        values: [0.5, 0.8, 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 70, 100, 150, 200, 300, 400],
        text: speedText,
        suffix: "",
    },
    {
        name: "max-accuracy",
        label: "Maximum accuracy radius",
        help: "Rejects points with a larger accuracy radius",
        values: [2, 3, 5, 8, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000],
        text: metresText,
        suffix: "",
    },
    {
        name: "min-step",
        label: "Smallest step",
        help: "Rejects points nearer to the last one",
        values: [0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 75, 100, 200, 500],
        text: metresText,
        suffix: "",
    },
    {
        name: "max-gap-time",
        label: "Longest gap in time",
        help: "A longer one starts a segment",
        values: [5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400],
        text: formatDuration,
        suffix: "s",
    },
    {
        name: "max-gap",
        label: "Longest gap in distance",
        help: "A longer one starts a segment",
        values: [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000, 100000],
        text: metresText,
        suffix: "",
    },
    {
        name: "stopped-speed",
        label: "Speed of standing still",
        help: "Slower legs do not count as moving",
        values: [0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.5, 2, 3, 5],
        text: speedText,
        suffix: "",
    },
];

/** Flags with their labels. Those of geographic tracks do not apply to planar ones. */
const FLAGS = [
    { name: "trips", label: "Estimate, trips and stops", isGeographic: true, isSet: true },
    { name: "reject-backward-time", label: "Reject earlier times", isGeographic: false, isSet: false },
    { name: "reject-zero-position", label: "Reject the position 0, 0", isGeographic: false, isSet: false },
    { name: "sort-by-time", label: "Sort by time", isGeographic: false, isSet: false },
];

/** The controls of a measurement. */
export class OptionControls {
    /**
     * @param {HTMLElement} parent
     * @param {Preset[]} presets
     * @param {() => void} onChange
     */
    constructor(parent, presets, onChange) {
        /** What the presets set. */
        this.presets = new Map(presets.map(({ name, options }) => [name, options]));
        /** @type {Map<string, {input: HTMLInputElement, output: HTMLOutputElement, slider: Slider}>} */
        this.sliders = new Map();
        /** @type {Map<string, HTMLInputElement>} */
        this.flags = new Map();
        const choose = (/** @type {string} */ label, /** @type {[string, string][]} */ values) => {
            const select = element("select", { onchange: () => this.changed(onChange) });
            values.forEach(([value, text]) => select.append(element("option", { value }, text)));
            parent.append(element("label", { class: "choice" }, element("span", {}, label), select));
            return select;
        };
        this.preset = choose("Kind of movement", [
            ["", "Any: no filters"],
            ...presets.map(({ name }) => /** @type {[string, string]} */ ([name, name[0].toUpperCase() + name.slice(1)])),
        ]);
        for (const slider of SLIDERS) {
            const id = `option-${slider.name}`;
            const output = element("output", { for: id });
            const input = element("input", {
                id,
                type: "range",
                min: 0,
                max: slider.values.length,
                step: 1,
                value: 0,
                "aria-describedby": `${id}-help`,
                oninput: () => this.changed(onChange),
            });
            this.sliders.set(slider.name, { input, output, slider });
            parent.append(
                element(
                    "div",
                    { class: "slider" },
                    element("label", { for: id }, slider.label),
                    output,
                    input,
                    element("small", { id: `${id}-help` }, slider.help),
                ),
            );
        }
        const flags = element("fieldset", { class: "flags" }, element("legend", {}, "Also"));
        for (const { name, label, isSet } of FLAGS) {
            const input = element("input", { type: "checkbox", checked: isSet, onchange: () => this.changed(onChange) });
            this.flags.set(name, input);
            flags.append(element("label", {}, input, ` ${label}`));
        }
        parent.append(flags);
        this.by = choose("Lengths by", [["", "–"], ["hour", "Hour"], ["day", "Day"], ["week", "Week"], ["month", "Month"], ["year", "Year"]]);
        this.model = choose("Model", [["", "WGS84 geodesic"], ["haversine", "Sphere"], ["planar", "Plane"]]);
        parent.append(
            element(
                "button",
                {
                    type: "button",
                    class: "quiet",
                    onclick: () => {
                        this.reset();
                        this.changed(onChange);
                    },
                },
                "Reset the options",
            ),
        );
        this.update();
    }

    /** @param {() => void} onChange */
    changed(onChange) {
        this.update();
        onChange();
    }

    reset() {
        this.preset.value = this.by.value = this.model.value = "";
        this.sliders.forEach(({ input }) => (input.value = "0"));
        FLAGS.forEach(({ name, isSet }) => {
            const input = this.flags.get(name);
            if (input) {
                input.checked = isSet;
            }
        });
    }

    get isPlanar() {
        return this.model.value === "planar";
    }

    /** Writes the values next to the sliders, and disables what does not apply. */
    update() {
        const { isPlanar } = this;
        this.preset.disabled = isPlanar;
        FLAGS.forEach(({ name, isGeographic }) => {
            const input = this.flags.get(name);
            if (input) {
                input.disabled = isPlanar && isGeographic;
            }
        });
        const preset = isPlanar ? undefined : this.presets.get(this.preset.value);
        for (const { input, output, slider } of this.sliders.values()) {
            const value = slider.values[Number(input.value) - 1];
            const text = (/** @type {number} */ shown) =>
                isPlanar && slider.suffix === "" && slider.name !== "max-accuracy" ? `${shown}` : slider.text(shown);
            const ofPreset = preset?.[slider.name];
            const unset = ofPreset == null ? "off" : `${text(ofPreset).split(" (")[0]}, preset`;
            output.value = value === undefined ? unset : text(value);
            output.classList.toggle("is-set", value !== undefined);
            input.setAttribute("aria-valuetext", output.value);
        }
    }

    /**
     * Returns the options that are set, with their values. A flag has an empty value.
     * @returns {[string, string][]}
     */
    options() {
        /** @type {[string, string][]} */
        const made = [];
        const { isPlanar } = this;
        if (this.model.value) {
            made.push(["model", this.model.value]);
        }
        if (this.preset.value && !isPlanar) {
            made.push(["preset", this.preset.value]);
        }
        for (const [name, { input, slider }] of this.sliders) {
            const value = slider.values[Number(input.value) - 1];
            if (value !== undefined) {
                made.push([name, `${value}${slider.suffix}`]);
            }
        }
        for (const [name, input] of this.flags) {
            if (input.checked && !input.disabled) {
                made.push([name, ""]);
            }
        }
        if (this.by.value) {
            made.push(["by", this.by.value]);
        }
        return made;
    }
}

/**
 * Returns a text about the options that a message names and that the page does not have, or an empty text.
 * @param {string} message
 */
export function missingOptions(message) {
    const known = ["model", "preset", "by", ...SLIDERS.map(({ name }) => name), ...FLAGS.map(({ name }) => name)];
    const named = [...message.matchAll(/(?<![\w-])--([a-z]+(?:-[a-z]+)*)/g)].map(([, name]) => name);
    const missing = [...new Set(named)].filter((name) => !known.includes(name) && name !== "max-upload-bytes");
    if (missing.length === 0) {
        return "";
    }
    const texts = missing.map((name) => `--${name}`).join(" and ");
    const end = /[.!?]$/.test(message) ? "" : ".";
    return `${end} The page does not have ${texts}: measure the file with the command line.`;
}

/**
 * Returns the command line that measures a file with options.
 * @param {[string, string][]} options
 * @param {string} file
 */
export function commandLine(options, file) {
    const words = options.map(([name, value]) => (value === "" ? `--${name}` : `--${name} ${quoted(value)}`));
    // A name with a leading dash would be an option.
    return ["waywiser measure", ...words, quoted(file.startsWith("-") ? `./${file}` : file)].join(" ");
}

/** @param {string} word */
function quoted(word) {
    return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * Returns an element that shows a command line.
 * @param {() => string} text
 */
export function commandBlock(text) {
    const code = element("code", { id: "command" });
    const block = element("div", { class: "command" }, code, copyButton(text, "Copy the command line"));
    return { block, show: () => (code.textContent = text()) };
}
