// Sizes, colour schemes, keyboard and accessibility. Writes screenshots to target/browser.
import path from "node:path";
import { OUTPUT, ROOT, axe, check, closePage, drawn, equal, openPage, scratchFile, startServer, stop, until } from "./harness.mjs";

const WALK = path.join(ROOT, "examples/hill-walk.gpx");

async function measured(page) {
    const before = await page.evaluate(() => window.waywiser.measure.answers);
    return (action) =>
        action().then(() =>
            page.waitForFunction((count) => window.waywiser.measure.answers > count, before, { timeout: 0 }),
        );
}

/** Fails with the serious findings of axe-core. */
async function audit(page, name) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
    for (const { id, impact } of violations) {
        console.log(`    axe: ${name}: ${impact} ${id}`);
    }
    equal(
        serious.map(({ id, nodes }) => [id, nodes.slice(0, 4).map(({ html, failureSummary }) => `${html} ${failureSummary}`)]),
        [],
        `${name}: findings of axe-core`,
    );
}

/** Sends the positions of a phone of the last 40 days, with a ride on each of them. */
async function sendDays(server, device) {
    const now = Math.floor(Date.now() / 60000) * 60;
    for (let ago = 39; ago >= 0; ago -= 1) {
        const length = 3 + ((ago * 7) % 11);
        const locations = Array.from({ length: 60 }, (_, step) => ({
            type: "Feature",
            geometry: {
                type: "Point",
                coordinates: [14.5 + 0.004 * length * Math.sin(step / 9.4), 46.05 + 0.003 * length * Math.cos(step / 9.4 + ago)],
            },
            properties: { timestamp: new Date((now - ago * 86400 - (60 - step) * 60) * 1000).toISOString(), horizontal_accuracy: 8, device_id: device },
        }));
        const answer = await fetch(`${server.http}ingest/overland`, { method: "POST", body: JSON.stringify({ locations }) });
        equal(await answer.json(), { result: "ok" }, "answer");
    }
}

/** Returns the texts of charts that are not completely inside their pictures. Runs in the page. */
function cutTexts() {
    const visible = [...document.querySelectorAll("svg text")].filter((text) => text.checkVisibility());
    const isCut = (text) => {
        const [inner, outer] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
        return inner.left < outer.left - 0.5 || inner.right > outer.right + 0.5 || inner.top < outer.top - 0.5 || inner.bottom > outer.bottom + 0.5;
    };
    return visible.filter(isCut).map((text) => text.textContent);
}

export async function everySizeAndColourScheme(server) {
    await sendDays(server, "alma");
    await sendDays(server, "bor-with-a-name-that-is-quite-long-for-a-narrow-list");
    for (const width of [360, 1440, 2560]) {
        for (const colorScheme of ["light", "dark"]) {
            const height = { 360: 740, 1440: 900, 2560: 1440 }[width];
            const page = await openPage(server, "measure", { viewport: { width, height }, colorScheme, reducedMotion: "reduce" });
            // A server that makes no QR codes, or keeps no recent points, says so once.
            page.expected.push(/Failed to load resource.*40[04]/);
            const name = (view) => path.join(OUTPUT, `${view}-${width}-${colorScheme}.png`);
            const inspect = async (view) => {
                // Two frames, so that everything is drawn.
                await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
                const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
                check(overflow <= 0, `${view} at ${width} pixels is ${overflow} pixels too wide`);
                equal(await page.evaluate(cutTexts), [], `${view} at ${width} pixels: texts beyond their pictures`);
                await page.screenshot({ path: name(view), fullPage: true });
                await audit(page, `${view} ${width} ${colorScheme}`);
            };
            await inspect("start");
            await (await measured(page))(() => page.setInputFiles("#file", WALK));
            await (await measured(page))(() => page.selectOption(".choice:has-text('Kind') select", "walk"));
            await (await measured(page))(() => page.fill("#option-max-speed", "6"));
            await (await measured(page))(() => page.selectOption(".choice:has-text('Lengths by') select", "hour"));
            await page.focus("#profile .plot");
            await page.keyboard.press("PageUp");
            await inspect("measure");
            for (const view of ["live", "phone"]) {
                await page.click(`nav a[href='#${view}']`);
                if (view === "live") {
                    await page.locator("#recordings li[data-name='paths/alma'] button").click();
                    await page.locator("#live-days rect").first().waitFor();
                }
                if (view === "phone") {
                    await page.locator("#phone-code img").waitFor();
                }
                await inspect(view);
            }
            await page.click("#token-state");
            await inspect("token");
            await closePage(page);
        }
    }
}

/** Uses every view without a pointer. */
export async function theKeyboardIsEnough(server) {
    const page = await openPage(server);
    const focused = () => page.evaluate(() => {
        const { id, className, tagName, textContent } = document.activeElement;
        return id || className || `${tagName} ${textContent.trim().slice(0, 20)}`;
    });
    const tabTo = async (wanted) => {
        for (let presses = 0; presses < 80; presses += 1) {
            if (wanted.test(await focused())) {
                return;
            }
            await page.keyboard.press("Tab");
        }
        throw new Error(`the focus does not reach ${wanted}`);
    };
    // Before the other steps, because the browser takes a while to report dialogs instead of showing them.
    const chooser = page.waitForEvent("filechooser");
    await page.keyboard.press("Tab");
    equal(await focused(), "skip", "the first stop");
    await tabTo(/^file$/);
    await page.keyboard.press("Enter");
    const wait = await measured(page);
    await wait(async () => (await chooser).setFiles(WALK));
    await tabTo(/^CANVAS/);
    await drawn(page, "measure");
    const view = () => page.evaluate(() => window.waywiser.measure.map.view);
    const before = await view();
    await page.keyboard.press("+");
    await page.keyboard.press("ArrowRight");
    const after = await view();
    check(after.scale === before.scale * 2 && after.x > before.x, "the keys do not move the map");
    check((await page.locator("#announcer").textContent()).includes("width"), "nothing is announced");
    await page.keyboard.press("0");
    equal(await view(), before, "the view after 0");
    await tabTo(/^plot/);
    await page.keyboard.press("ArrowRight");
    check(await page.evaluate(() => window.waywiser.measure.map.cursor !== null), "no cursor");
    await tabTo(/^option-max-speed$/);
    const again = await measured(page);
    await again(() => page.keyboard.press("ArrowRight"));
    check((await page.locator("#command").textContent()).includes("--max-speed 0.5"), "the slider has not moved");
    // Every stop is visible.
    await page.keyboard.press("Shift+Tab");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    check(outline !== "none", "the focus is not visible");
    await page.evaluate(() => document.querySelector("nav a[href='#live']").focus());
    await page.keyboard.press("Enter");
    await page.waitForSelector("#live:not([hidden])");
    await tabTo(/^live-prefix$/);
    await page.evaluate(() => document.querySelector("nav a[href='#phone']").focus());
    await page.keyboard.press("Enter");
    await tabTo(/^INPUT/);
    await page.keyboard.press("ArrowDown");
    equal(await page.locator("#phone-apps input:checked").getAttribute("value"), "overland", "the next app");
    await closePage(page);
}

/** Tiles are shown only if the operator names a server, and only that server is allowed. */
export async function withoutTilesThePolicyAllowsNoOtherServer(server) {
    // The message and the request may be reported after the event.
    const page = await openPage(server, "", { tiles: "tiles.example.org", expected: [/tiles\.example\.org.*Content Security Policy/] });
    const refused = await page.evaluate(
        () =>
            new Promise((resolve) => {
                addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
                new Image().src = "https://tiles.example.org/0/0/0.png";
            }),
    );
    equal(refused, "img-src", "refused by");
    await closePage(page);
}

export async function tilesOfTheOperatorAreShown() {
    const credit = "© Somebody <b>";
    const tiles = ["--tiles", "https://tiles.example.org/{z}/{x}/{y}.png", "--tiles-attribution", credit];
    const server = await startServer(["--ephemeral", ...tiles]);
    const page = await openPage(server, "", { tiles: "tiles.example.org" });
    const requested = [];
    const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
    await page.route("https://tiles.example.org/**", (route) => {
        requested.push(new URL(route.request().url()).pathname);
        return route.fulfill({ contentType: "image/png", body: Buffer.from(pixel, "base64") });
    });
    await (await measured(page))(() => page.setInputFiles("#file", scratchFile("tiles.csv", "lon,lat\n179.9,46\n-179.9,46.1\n")));
    await until("tiles are loaded", () => requested.length > 3);
    for (const tile of requested) {
        const [zoom, x, y] = tile.match(/\d+/g).map(Number);
        check(x >= 0 && y >= 0 && x < 2 ** zoom && y < 2 ** zoom, `there is no tile ${tile}`);
    }
    equal(await page.locator("#measure-map .attribution").textContent(), credit, "attribution");
    await closePage(page);
    await stop(server);
}

/** No label and no text about the origin of the map is where the scale bar is. The text is there before the list is. */
export async function nothingIsUnderTheScaleBar() {
    const credit = "\u00a9 OpenStreetMap contributors, \u00a9 a company with a name that is long";
    const server = await startServer(["--ephemeral", "--tiles", "https://tiles.example.org/{z}/{x}/{y}.png", "--tiles-attribution", credit]);
    const page = await openPage(server, "phone", { viewport: { width: 360, height: 740 }, tiles: "tiles.example.org" });
    await page.route("https://tiles.example.org/**", (route) => route.fulfill({ contentType: "image/svg+xml", body: "<svg xmlns='http://www.w3.org/2000/svg'/>" }));
    await page.route("**/api/paths?*", () => {});
    await page.click("nav a[href='#live']");
    await drawn(page, "live");
    const { faults, labels, bar, attribution } = await page.evaluate(() => {
        const { map } = window.waywiser.live;
        const { context } = map;
        /** The texts and the filled rectangles of a frame. */
        let [texts, boxes] = [[], []];
        const draw = context.fillText.bind(context);
        const fill = context.fillRect.bind(context);
        context.fillText = (text, x, y) => {
            texts.push({ text, left: x, right: x + context.measureText(text).width, top: y - 8, bottom: y + 2 });
            draw(text, x, y);
        };
        context.fillRect = (x, y, width, height) => {
            boxes.push({ left: x, right: x + width, top: y, bottom: y + height });
            fill(x, y, width, height);
        };
        const [faults, labels] = [[], []];
        let bar;
        for (let step = 0; step < 60; step += 1) {
            map.view = { x: 0.53 + step * 7e-4, y: 0.35 + step * 5e-4, scale: 256 * 2 ** (3 + (step % 12)) };
            const at = (x, y) => ({ x: map.view.x + (x - map.size.width / 2) / map.view.scale, y: map.view.y + (y - map.size.height / 2) / map.view.scale });
            map.markers = [{ ...at(10 + step * 2, map.size.height - 2 - step), color: "track0", label: "phone", isOld: false }];
            [texts, boxes] = [[], []];
            map.render();
            bar = boxes.at(-1);
            const scale = texts.pop();
            if (!(scale.left > bar.left && scale.right < bar.right + 1)) {
                faults.push("the scale is not in its bar");
            }
            labels.push(texts.filter(({ text }) => text === "phone").length);
            const covered = texts.filter(({ left, right, top, bottom }) => left < bar.right && right > bar.left && top < bar.bottom && bottom > bar.top);
            faults.push(...covered.map(({ text }) => `${step}: ${text}`));
        }
        const canvas = map.canvas.getBoundingClientRect();
        return { faults, labels, bar: canvas.left + 138, attribution: document.querySelector("#live-map .attribution").getBoundingClientRect().left };
    });
    equal(faults, [], "texts under the scale bar");
    equal(labels, labels.map(() => 1), "labels of the marker");
    check(attribution > bar, `the attribution starts at ${attribution}, and the scale bar may end at ${bar}`);
    await closePage(page);
    await stop(server);
}

/** A tile that fails is requested again, later each time. The clock of the page runs faster. */
export async function aTileThatFailsIsRequestedAgain() {
    const server = await startServer(["--ephemeral", "--tiles", "https://tiles.example.org/{z}/{x}/{y}.png"]);
    const page = await openPage(server, "", { tiles: "tiles.example.org", hasClock: true, expected: [/Failed to load resource.*503/] });
    const counts = new Map();
    let isFailing = true;
    const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
    await page.route("https://tiles.example.org/**", (route) => {
        counts.set(route.request().url(), (counts.get(route.request().url()) ?? 0) + 1);
        return route.fulfill(isFailing ? { status: 503 } : { contentType: "image/png", body: Buffer.from(pixel, "base64") });
    });
    const file = scratchFile("tiles.csv", "lon,lat\n13,46\n13.1,46.1\n");
    await (await measured(page))(() => page.setInputFiles("#file", file));
    // No frame is drawn while the clock stands still.
    const render = () => page.evaluate(() => window.waywiser.measure.map.render());
    await until("the map has its size", () =>
        page.evaluate(() => {
            const { canvas, size } = window.waywiser.measure.map;
            return size.width > 0 && size.width === canvas.clientWidth && size.height === canvas.clientHeight;
        }),
    );
    await render();
    const tiles = () =>
        page.evaluate(() =>
            [...window.waywiser.measure.map.tiles.values()].map(({ image, failures }) => ({ failures, isShown: image.naturalWidth > 0 })),
        );
    const have = (failures) => async () => {
        const all = await tiles();
        return all.length > 0 && all.every((tile) => tile.failures === failures);
    };
    await until("all tiles have failed", have(1));
    const { size } = counts;
    const most = () => Math.max(...counts.values());
    equal(most(), 1, "requests of a tile");
    const drawAfter = async (milliseconds) => {
        await page.clock.fastForward(milliseconds);
        await render();
        // The requests of the frame are sent before this one.
        await page.evaluate(() => fetch("page/main.js"));
    };
    await drawAfter(3000);
    equal([most(), counts.size], [1, size], "requests before the time");
    await drawAfter(3000);
    await until("all tiles have failed again", have(2));
    equal(most(), 2, "requests of a tile");
    await drawAfter(6000);
    equal([most(), counts.size], [2, size], "requests before the second time");
    isFailing = false;
    await drawAfter(6000);
    await until("all tiles are shown", async () => (await tiles()).every(({ isShown }) => isShown));
    equal([most(), counts.size], [3, size], "requests until the tiles are shown");
    await closePage(page);
    await stop(server);
}

/** Only the first button moves the map, and only while it is pressed. */
export async function onlyTheFirstButtonMovesTheMap(server) {
    const page = await openPage(server);
    await (await measured(page))(() => page.setInputFiles("#file", scratchFile("drag.csv", "lon,lat\n13,46\n13.1,46.1\n")));
    const canvas = page.locator("#measure-map canvas");
    await drawn(page, "measure");
    await canvas.scrollIntoViewIfNeeded();
    const box = await canvas.boundingBox();
    const view = () => page.evaluate(() => ({ ...window.waywiser.measure.map.view }));
    const to = (x) => page.mouse.move(box.x + x, box.y + 100, { steps: 4 });
    for (const button of ["right", "middle", "left"]) {
        await to(100);
        const before = await view();
        await page.mouse.down({ button });
        await to(160);
        const after = await view();
        const moved = Math.round((before.x - after.x) * before.scale);
        equal(moved, button === "left" ? 60 : 0, `pixels by which the ${button} button moves the map`);
        await page.mouse.up({ button });
    }
    // The end of the press is lost, as it is if a menu opens.
    await page.mouse.down();
    await page.evaluate(() => addEventListener("pointerup", (event) => event.stopImmediatePropagation(), { capture: true, once: true }));
    await page.mouse.up();
    const before = await view();
    await to(220);
    equal(await view(), before, "the view after a movement without a button");
    await closePage(page);
}

/** Touch: one finger moves the map, two zoom it. */
export async function twoFingersZoom(server) {
    const page = await openPage(server, "measure", { viewport: { width: 360, height: 740 }, hasTouch: true });
    await (await measured(page))(() => page.setInputFiles("#file", scratchFile("pinch.csv", "lon,lat\n13,46\n13.1,46.1\n")));
    const scales = await page.evaluate(() => {
        const { map } = window.waywiser.measure;
        const before = map.view.scale;
        const box = map.canvas.getBoundingClientRect();
        map.canvas.setPointerCapture = () => {};
        const send = (type, pointerId, x) =>
            map.canvas.dispatchEvent(new PointerEvent(type, { pointerId, clientX: box.left + x, clientY: box.top + 90, pointerType: "touch", buttons: type === "pointerup" ? 0 : 1 }));
        send("pointerdown", 1, 100);
        send("pointerdown", 2, 200);
        send("pointermove", 2, 300);
        send("pointerup", 1, 100);
        send("pointerup", 2, 300);
        return [before, map.view.scale];
    });
    equal(Math.round(scales[1] / scales[0]), 2, "zoom");
    await closePage(page);
}
