// The view of recordings.
import path from "node:path";
import { check, closePage, ended, equal, exposeViews, openPage, run, scratch, scratchFile, start, startServer, stop, until } from "./harness.mjs";
import { startPostgres } from "./postgres.mjs";

/** Streams a track to a recording, a point each time that the returned function is called. */
function stream(server, name, environment = {}) {
    const child = start(["record", "--server", server.grpc, "--name", `paths/${name}`, "--retry-for", "10m", "-"], {
        env: { ...process.env, ...environment },
    });
    let index = 0;
    const send = (count) => {
        for (let sent = 0; sent < count; sent += 1, index += 1) {
            const time = new Date(Date.UTC(2024, 0, 1) + index * 1000).toISOString();
            child.stdin.write(`${(13 + index * 0.0001).toFixed(4)},46.1,${time}\n`);
        }
    };
    child.stdin.write("lon,lat,time\n");
    return { child, send };
}

async function finishStream({ child }) {
    child.stdin.end();
    equal(await ended(child), 0, `the recording has failed: ${child.log}`);
}

/** Opens the view. */
const openLive = (server) => openPage(server, "live");

const length = (page) => page.evaluate(() => Number(document.getElementById("live-length")?.value ?? 0));

async function select(page, name) {
    const row = page.locator(`#recordings li[data-name="paths/${name}"] button`);
    await row.waitFor({ timeout: 0 });
    await row.click();
}

export async function aRecordingGrows(server) {
    await follow(server, server);
}

/** Follows a recording at a server while another one, or the same, writes it. */
async function follow(server, writer) {
    const recording = stream(writer, "growing");
    recording.send(10);
    const page = await openLive(server);
    let streams = 0;
    page.on("response", (response) => (streams += /\/events(\?|$)/.test(response.url()) && response.ok() ? 1 : 0));
    await select(page, "growing");
    let before = await until("the total is shown", () => length(page));
    for (let round = 0; round < 3; round += 1) {
        recording.send(10);
        await until("the total grows", async () => (await length(page)) > before);
        before = await length(page);
    }
    equal(await page.locator("#stream-state").textContent(), "Live", "state");
    await until("the stream is counted", () => streams > 0);
    equal(streams, 1, "streams of events");
    // Another view needs no stream.
    await page.click("nav a[href='#measure']");
    await page.click("nav a[href='#live']");
    await until("the stream is open again", async () => streams === 2 && (await page.locator("#stream-state").textContent()) === "Live");
    await finishStream(recording);
    await until("the end is shown", async () => (await page.locator("#stream-state").textContent()) === "Finished");
    const shown = await length(page);
    const { summary } = await (await fetch(`${server.http}api/paths/growing`)).json();
    equal(shown, summary.length_m, "the last total");
    // The list says that the recording is finished, and the details say how old its last fix is.
    const row = page.locator("#recordings li[data-name='paths/growing']");
    equal(await row.locator(".age").textContent(), "finished", "age in the list");
    const fix = page.locator("#live-figures div").first();
    check(/^Last (fix|update)(\d+\u00a0(d|h|min|s)( \d+\u00a0(d|h|min|s))? ago|just now)$/.test(await fix.textContent()), `age: ${await fix.textContent()}`);
    await closePage(page);
}

export async function aRecordingInMemoryGrows() {
    const server = await startServer(["--store", "memory:"]);
    await aRecordingGrows(server);
    await stop(server);
}

export async function aRecordingOfAnotherServerGrows() {
    const database = await startPostgres();
    if (database === null) {
        console.log("    SKIPPED: PostgreSQL is not installed");
        return;
    }
    const [server, writer] = [await startServer(["--store", database.url, "--migrate"]), await startServer(["--store", database.url])];
    try {
        await follow(server, writer);
        await stop(server);
        await stop(writer);
    } finally {
        await database.stop();
    }
}

export async function theServerIsLostAndComesBack() {
    const data = path.join(scratch, "lost");
    let server = await startServer(["--data-dir", data]);
    const recording = stream(server, "van");
    recording.send(20);
    const page = await openLive(server);
    page.expected.push(/Failed to load resource/);
    await select(page, "van");
    const before = await until("the total is shown", () => length(page));
    await stop(server, "SIGKILL");
    await until("the page says so", async () => (await page.locator("#stream-state").textContent()).startsWith("Connection lost"));
    check(await page.locator("#live-length").isVisible(), "the last total is lost");
    server = await startServer(["--data-dir", data], server.ports);
    recording.send(20);
    await until("the page is live again", async () => (await page.locator("#stream-state").textContent()) === "Live");
    await until("the total grows", async () => (await length(page)) > before);
    await until("the list is current", async () => (await page.locator("#list-state").textContent()) === "");
    await finishStream(recording);
    await closePage(page);
    await stop(server);
}

/** A list that arrives late has an older state of a recording than its events. */
export async function aLateListHidesNoEvent(server) {
    const recording = stream(server, "late");
    recording.send(10);
    const page = await openLive(server);
    await select(page, "late");
    await until("the total is shown", () => length(page));
    let isRead = false;
    let release;
    const isReleased = new Promise((resolve) => (release = resolve));
    await page.route(/api\/paths\?/, async (route) => {
        const response = await route.fetch();
        isRead = true;
        await isReleased;
        await route.fulfill({ response });
    });
    await until("the server has sent the list", () => isRead);
    recording.send(10);
    await finishStream(recording);
    await until("the end is shown", async () => (await page.locator("#stream-state").textContent()) === "Finished");
    await page.evaluate(() => (window.listBefore = window.waywiser.live.recordings));
    release();
    const shown = await until("the list arrives", () =>
        page.evaluate(() => {
            const row = document.querySelector("#recordings li[data-name='paths/late']");
            return window.waywiser.live.recordings === window.listBefore ? null : ["age", "length"].map((name) => row.querySelector(`.${name}`).textContent);
        }),
    );
    const total = await page.locator("#live-total").textContent();
    equal(shown.map((text) => text.replace("\u00a0", "")), ["finished", total.replace("\u00a0", "")], "age and length in the list");
    await closePage(page);
}

/** A stopped process and a lost network close no connection. The clock of the page runs faster. */
export async function aSilentServerIsLost() {
    const server = await startServer(["--ephemeral"]);
    const recording = stream(server, "quiet");
    recording.send(10);
    const page = await openPage(server, "live", { hasClock: true });
    const state = async () => page.locator("#stream-state").textContent();
    const listState = async () => page.locator("#list-state").textContent();
    const updates = () => page.evaluate(() => window.waywiser.live.updates);
    let streams = 0;
    page.on("request", (request) => (streams += request.url().includes("/events") ? 1 : 0));
    const lists = new Set();
    page.on("request", (request) => request.url().includes("api/paths?") && lists.add(request));
    page.on("requestfinished", (request) => lists.delete(request));
    page.on("requestfailed", (request) => lists.delete(request));
    await select(page, "quiet");
    await until("the page is live", async () => (await state()) === "Live");
    // Each event renews the time.
    for (let round = 0; round < 3; round += 1) {
        const before = await updates();
        await page.clock.fastForward(30000);
        recording.send(10);
        await until("an update arrives", async () => (await updates()) > before);
        equal([await state(), streams], ["Live", 1], `state and streams after ${round + 1} times 30 s`);
    }
    server.child.kill("SIGSTOP");
    await page.clock.fastForward(46000);
    const message = "the server has sent nothing for 45 seconds";
    await until("the stream is lost", async () => (await state()) === `Connection lost: ${message}. Trying again …`);
    check(await page.locator("#live-length").isVisible(), "the last total is lost");
    await until("the list is not current", async () => {
        await page.clock.fastForward(15000);
        return (await listState()) === `The list is not current: ${message}.`;
    });
    server.child.kill("SIGCONT");
    await until("the page is live again", async () => {
        // The time of the page stands still while the server answers.
        if (lists.size === 0 && (await state()) !== "Connecting \u2026") {
            await page.clock.fastForward(5000);
        }
        return (await state()) === "Live" && (await listState()) === "";
    });
    await finishStream(recording);
    await closePage(page);
    await stop(server);
}

/** A server that is busy says when to come back. The clock of the page runs faster. */
export async function aBusyServerIsAskedLater(server) {
    const page = await openPage(server, "live", { hasClock: true });
    page.expected.push(/Failed to load resource.*(429|503)/);
    const counts = { list: 0, events: 0 };
    let isBusy = false;
    const busy = (status) => ({
        status, headers: { "retry-after": "100" }, json: { error: { status, reason: "SERVER_BUSY", message: "try later" } },
    });
    await page.route(/api\/paths\?/, (route) => {
        counts.list += 1;
        return route.fulfill(isBusy ? busy(429) : { json: { paths: [{ name: "paths/busy" }] } });
    });
    await page.route(/events\?recent_points=true$/, (route) => {
        counts.events += 1;
        return route.fulfill(busy(503));
    });
    await page.reload();
    await select(page, "busy");
    await until("the stream is refused", async () => (await page.locator("#stream-state").textContent()).includes("try later"));
    isBusy = true;
    await page.clock.fastForward(6000);
    await until("the list is refused", async () => (await page.locator("#list-state").textContent()).includes("try later"));
    const before = { ...counts };
    await page.clock.fastForward(80000);
    // The answers to requests of this time would have arrived before this one.
    await page.evaluate(() => fetch("page/main.js"));
    equal(counts, before, "requests before the time");
    await page.clock.fastForward(40000);
    await until("the server is asked again", () => counts.list > before.list && counts.events > before.events);
    await closePage(page);
}

export async function manyRecordingsHavePages() {
    const server = await startServer(["--ephemeral"]);
    const file = scratchFile("small.csv", "lon,lat\n13,46\n13.1,46\n");
    for (let index = 0; index < 55; index += 1) {
        run(["record", "--server", server.grpc, "--name", `paths/car-${String(index).padStart(3, "0")}`, file]);
    }
    const page = await openLive(server);
    const rows = page.locator("#recordings li");
    await until("the first page is shown", async () => (await rows.count()) === 50);
    await page.click("#live-next");
    await until("the second page is shown", async () => (await rows.count()) === 5);
    equal(await page.locator("#live-page").textContent(), "Page 2", "page");
    check(await page.locator("#live-next").isDisabled(), "there is a page after the last one");
    await page.click("#live-previous");
    await until("the first page is shown again", async () => (await rows.count()) === 50);
    // A second press before the answer does nothing, and the button keeps the focus.
    const tokens = [];
    await page.route(/api\/paths\?/, async (route) => {
        const token = new URL(route.request().url()).searchParams.get("page_token");
        if (token === null) {
            // The first page of the list or of a search, which may be read again at any time.
            await route.continue();
            return;
        }
        tokens.push(token);
        await route.fulfill({ json: { paths: [{ name: `paths/after-${token}` }], next_page_token: `${token}+` } });
    });
    await page.locator("#live-next").focus();
    await page.evaluate(() => ["", "", ""].forEach(() => document.getElementById("live-next").click()));
    await until("the second page is shown", async () => (await rows.count()) === 1);
    equal(await page.locator("#live-page").textContent(), "Page 2", "page after three presses");
    check(await page.evaluate(() => document.activeElement.id === "live-next"), "the button has lost the focus");
    await page.click("#live-next");
    await until("the third page is shown", async () => (await rows.getAttribute("data-name")) === `paths/after-${tokens[0]}+`);
    equal([new Set(tokens).size, await page.locator("#live-page").textContent()], [2, "Page 3"], "tokens and page");
    // The token of another list is not used for a search.
    await page.fill("#live-prefix", "car");
    await until("the first page of the search is shown", async () => (await rows.count()) === 50);
    equal(await page.locator("#live-page").textContent(), "Page 1", "page of the search");
    await page.fill("#live-prefix", "car-05");
    await until("the list has only those names", async () => (await rows.count()) === 5);
    await closePage(page);
    await stop(server);
}

/** Each recording has 400 days, which would leave room for about five of them in a part of the list. */
export async function recordingsWithManyDaysAreAllListed() {
    const server = await startServer(["--store", "memory:"]);
    for (let device = 0; device < 40; device += 1) {
        const locations = Array.from({ length: 400 }, (_, day) => ({
            type: "Feature",
            geometry: { type: "Point", coordinates: [13 + day * 0.001, 46 + device * 0.01] },
            properties: { timestamp: new Date(Date.UTC(2023, 0, 1 + day, 12)).toISOString(), horizontal_accuracy: 5, device_id: `phone-${device}` },
        }));
        const answer = await fetch(`${server.http}ingest/overland`, { method: "POST", body: JSON.stringify({ locations }) });
        equal(await answer.json(), { result: "ok" }, "answer");
    }
    const page = await openLive(server);
    await until("all recordings are listed", async () => (await page.locator("#recordings li").count()) === 40);
    check(!(await page.locator("#live-pages").isVisible()), "the list has more than one page");
    await select(page, "phone-7");
    await until("the days are shown", async () => (await page.locator("#live-days rect").count()) === 62);
    // The list is read again, and the days stay.
    await page.evaluate(() => (window.listBefore = window.waywiser.live.recordings));
    await until("the list is read again", () => page.evaluate(() => window.waywiser.live.recordings !== window.listBefore));
    equal(await page.evaluate(() => window.waywiser.live.selected.summary.windows.length), 400, "days");
    await closePage(page);
    await stop(server);
}

export async function aTokenIsRequestedAndKept() {
    const tokens = path.join(scratch, "tokens.toml");
    const token = run(["token", "new", "--name", "tester", "--append", tokens]).split("\n")[0];
    const server = await startServer(["--ephemeral", "--tokens", tokens]);
    const file = scratchFile("small.csv", "lon,lat\n13,46\n13.1,46\n");
    run(["record", "--server", server.grpc, "--name", "paths/secret", file], { env: { ...process.env, WAYWISER_TOKEN: token } });
    const page = await openPage(server, "live", { expected: [/Failed to load resource.*401/] });
    page.secret = token;
    await page.locator("#token").waitFor();
    await page.fill("#token", "wrong");
    await page.keyboard.press("Enter");
    await until("the wrong token is reported", async () => (await page.locator("#token-message").textContent()).length > 5);
    const isVisible = (id) => page.locator(`#${id}`).isVisible();
    check((await isVisible("live-none")) && !(await isVisible("live-empty")), "without a token, the list says that it is empty");
    await page.fill("#token", "geheim\u0142");
    await page.keyboard.press("Enter");
    equal(await page.locator("#token-message").textContent(), "the token has characters that are not allowed.", "message");
    check(await isVisible("token"), "the panel of the token is closed");
    await page.evaluate(() => sessionStorage.setItem("waywiser-token", "geheim\u0142"));
    const answers = await page.evaluate(async () => {
        const { requestJson } = await import(new URL("page/api.js", document.baseURI).href);
        return requestJson("api/paths").catch(({ status, message }) => [status, message]);
    });
    equal(answers, [401, "the token has characters that are not allowed"], "failure");
    await page.fill("#token", token);
    await page.keyboard.press("Enter");
    await select(page, "secret");
    await until("the total is shown", () => length(page));
    await page.reload();
    await exposeViews(page);
    await select(page, "secret");
    equal(await page.evaluate(() => Object.keys(localStorage).length), 0, "what the browser keeps after the tab");
    await until("the total is shown again", () => length(page));
    await page.fill("#live-prefix", "nothing");
    await until("the search has no result", async () => (await page.locator("#live-none").textContent()).includes("nothing"));
    check(!(await isVisible("live-empty")), "a search without a result says that there are no recordings");
    await page.fill("#live-prefix", "");
    await until("the list is back", () => page.locator("#recordings li").count());
    // Nothing that the token has read stays.
    await page.click("#token-state");
    await page.click("#token-forget");
    await until("the token is requested", async () => (await page.locator("#live-none").textContent()).includes("token"));
    check(!(await page.locator("#live").textContent()).includes("secret"), "the name stays");
    check(!(await isVisible("live-detail")) && (await length(page)) === 0, "the length stays");
    const left = await page.evaluate(() => {
        const { map, trail, selected } = window.waywiser.live;
        return [map.lines.length, map.markers.length, trail.length, selected];
    });
    equal(left, [0, 0, 0, null], "what stays");
    await page.fill("#token", token);
    await page.keyboard.press("Enter");
    await until("the list is back", () => page.locator("#recordings li").count());
    await page.click("nav a[href='#measure']");
    await page.setInputFiles("#file", file);
    await page.waitForFunction(() => window.waywiser.measure.answers === 1, null, { timeout: 0 });
    await page.click("#token-state");
    await page.click("#token-forget");
    await page.waitForSelector("#measure-status.is-error");
    await closePage(page);
    await stop(server);
}

/** Another token cannot help against a proxy, or the check of the site that caused a request. */
export async function aTokenIsRequestedOnlyIfItCanHelp(server) {
    const page = await openPage(server, "live");
    page.expected.push(/Failed to load resource.*403/);
    const panel = page.locator("#token-panel");
    const isOpen = () => panel.evaluate((details) => details.open);
    const refused = (reason) => ({ status: 403, json: { error: { status: 403, reason, message: `refused for ${reason}` } } });
    // The answer of the server to a request of another site.
    await page.route(/api\/measure/, async (route) => {
        const headers = { ...route.request().headers(), "sec-fetch-site": "cross-site" };
        await route.fulfill({ response: await route.fetch({ headers }) });
    });
    const file = scratchFile("small.csv", "lon,lat\n13,46\n13.1,46\n");
    const status = page.locator("#measure-status");
    await page.click("nav a[href='#measure']");
    await page.setInputFiles("#file", file);
    await until("the refusal is shown", async () => /another site|not the host/.test(await status.textContent()));
    check(!(await isOpen()), "the page requests a token for CROSS_SITE");
    for (const [reason, isHelp] of [["UNKNOWN", false], ["ROLE_REQUIRED", true]]) {
        // The list is not read in the other view.
        await page.click("nav a[href='#measure']");
        await page.waitForSelector("#live", { state: "hidden" });
        await page.route(/api\/(measure|paths)/, (route) => route.fulfill(refused(reason)));
        await page.setInputFiles("#file", file);
        await until("the refusal is shown", async () => (await status.textContent()).includes(reason));
        equal(await isOpen(), isHelp, `${reason}: the panel is open after a measurement`);
        await panel.evaluate((details) => (details.open = false));
        await page.click("nav a[href='#live']");
        await until("the refusal is in the list", async () => (await page.locator("#list-state").textContent()).includes(reason));
        equal(await isOpen(), isHelp, `${reason}: the panel is open after a request of the list`);
        equal((await page.locator("#live-none").textContent()).includes("token"), isHelp, `${reason}: the text of the list`);
    }
    await closePage(page);
}

export async function aRecordingThatIsMadeAgainIsFollowed() {
    const server = await startServer(["--ephemeral"]);
    const file = scratchFile("small.csv", "lon,lat\n13,46\n13.1,46\n");
    const record = () => run(["record", "--server", server.grpc, "--name", "paths/again", file]);
    record();
    const page = await openLive(server);
    page.expected.push(/Failed to load resource.*404/);
    await select(page, "again");
    await until("the stream has ended", async () => (await page.locator("#stream-state").textContent()) === "Finished");
    const isDeleted = (await fetch(`${server.http}api/paths/again`, { method: "DELETE" })).ok;
    check(isDeleted, "the recording is not deleted");
    await until("the list is empty", async () => (await page.locator("#recordings li").count()) === 0);
    record();
    const updates = () => page.evaluate(() => window.waywiser.live.updates);
    const before = await updates();
    await select(page, "again");
    await until("the recording is followed", async () => (await updates()) > before);
    await closePage(page);
    await stop(server);
}

/** Browsers remove the segments . and .. of a path. */
export async function recordingsNamedLikeFoldersAreFollowed() {
    const server = await startServer(["--ephemeral"]);
    const names = [".", "..", "..."];
    for (const [index, name] of names.entries()) {
        const file = scratchFile("small.csv", `lon,lat\n13,46\n13.1,46\n${"13,46\n".repeat(index)}`);
        run(["record", "--server", server.grpc, "--name", `paths/${name}`, file]);
    }
    const page = await openLive(server);
    for (const [index, name] of names.entries()) {
        await select(page, name);
        await until(`${name} is followed`, async () => (await page.locator("#stream-state").textContent()) === "Finished");
        equal(await page.locator("#live-name").textContent(), name, "name");
        equal(await page.locator("#live-points").textContent(), `${index + 2}\u00a0points`, "points");
    }
    await closePage(page);
    await stop(server);
}

export async function theSkipLinkStaysInTheView(server) {
    const page = await openLive(server);
    await page.focus(".skip");
    await page.keyboard.press("Enter");
    check(await page.locator("#live").isVisible(), "another view is open");
    equal(new URL(page.url()).hash, "#live", "address");
    await page.keyboard.press("Tab");
    check(await page.evaluate(() => document.getElementById("live").contains(document.activeElement)), "the focus is not in the view");
    await closePage(page);
}

/** The list, the map and the details have the name that a phone was given, and the map shows the selected recording. */
export async function aRecordingOfAPhoneIsShownWithItsName() {
    const server = await startServer(["--ephemeral"]);
    const names = ["Grandma's phone", "\u010copi\u0107"];
    for (const [index, name] of names.entries()) {
        for (let fix = 0; fix < 3; fix += 1) {
            const query = new URLSearchParams({ id: name, lat: String(46 + index * 10 + fix * 0.001), lon: "13", timestamp: String(1714500000 + fix * 100) });
            check((await fetch(`${server.http}ingest/osmand?${query}`)).ok, "the fix is refused");
        }
    }
    const file = scratchFile("small.csv", "lon,lat\n13,46\n13.1,46\n");
    // Escapes of no text, of a letter that needs none, and of a character that turns the text around.
    const others = ["a~FF", "a~41", "a~E2~80~AE"];
    others.forEach((name) => run(["record", "--server", server.grpc, "--name", `paths/${name}`, file]));
    const page = await openPage(server, "live", { viewport: { width: 360, height: 640 } });
    const shown = page.locator("#recordings .name");
    await until("all are listed", async () => (await shown.count()) === 5);
    equal((await shown.allTextContents()).toSorted(), [...names, ...others].toSorted(), "names");
    await page.fill("#live-prefix", "Grandma's p");
    await until("the name is found", async () => (await shown.count()) === 1);
    await page.fill("#live-prefix", "");
    await until("all are listed", async () => (await shown.count()) === 5);
    await select(page, "Grandma~27s~20phone");
    equal(await page.locator("#live-name").textContent(), names[0], "name");
    check(await page.locator("#live-name").evaluate((place) => place.getBoundingClientRect().top < innerHeight), "the details are not in the view");
    check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the screen");
    const height = () =>
        page.evaluate(() => {
            const { map } = window.waywiser.live;
            return Math.max(0, ...map.lines.map(({ vertices: { box } }) => (box.maxY - box.minY) * map.view.scale));
        });
    await until("the map is fitted to the recording", async () => (await height()) > 50);
    await closePage(page);
    await stop(server);
}

/** The map moves with a recording until the user moves it, and again after the button. */
export async function theMapFollowsARecordingUntilItIsMoved(server) {
    const recording = stream(server, "followed");
    recording.send(10);
    const page = await openLive(server);
    await select(page, "followed");
    const state = () =>
        page.evaluate(() => {
            const { map, trail } = window.waywiser.live;
            const last = trail[trail.length - 1];
            const [x, y] = last ? [map.screenX(map.projection.x(last.x)), map.screenY(map.projection.y(last.y))] : [-1, -1];
            const isVisible = x > 0 && y > 0 && x < map.size.width && y < map.size.height;
            return { isVisible, points: trail.length, view: { ...map.view } };
        });
    const grow = async (count) => {
        const { points } = await state();
        recording.send(count);
        return until("all new points are on the map", async () => {
            const now = await state();
            return now.points >= points + count ? now : null;
        });
    };
    await until("the first points are on the map", async () => (await state()).points === 10);
    const button = page.locator(".map-follow");
    // The line becomes longer than a map that was fitted once.
    for (let round = 0; round < 3; round += 1) {
        check((await grow(40)).isVisible, `round ${round}: the last point is not in view`);
        check(!(await button.isVisible()), "the button is visible while the map follows");
    }
    const canvas = page.locator("#live-map canvas");
    // A click that moves nothing is no movement of the map.
    await canvas.click();
    check(!(await button.isVisible()), "a click has stopped the map");
    for (const key of ["+", "ArrowUp", "0"]) {
        await canvas.focus();
        await page.keyboard.press(key);
        const { view } = await state();
        equal((await grow(60)).view.scale >= view.scale || key === "0", true, `${key}: the map zooms out after it was moved`);
        if (key !== "0") {
            equal((await state()).view, view, `${key}: the view after more points`);
        }
        equal(await button.textContent(), "Follow the recording", "text");
        await button.click();
        check((await state()).isVisible && !(await button.isVisible()), `${key}: the map does not follow again`);
        check((await grow(60)).isVisible, `${key}: the last point is not in view again`);
    }
    // The size of the map changes.
    await page.setViewportSize({ width: 360, height: 640 });
    await until("the map is smaller", () => page.evaluate(() => window.waywiser.live.map.size.width < 360));
    check((await state()).isVisible, "the last point is not in view of the small map");
    await finishStream(recording);
    await closePage(page);
}

/** The search finds names whatever the case of their letters, in each script. */
export async function theSearchIgnoresTheCaseOfLetters() {
    const server = await startServer(["--ephemeral"]);
    const names = ["\u010copi\u0107", "Stra\u00dfe", "\u0130stanbul", "\u039f\u0394\u039f\u03a3", "\u041c\u043e\u0441\u043a\u0432\u0430", "Van-7"];
    for (const name of names) {
        const query = new URLSearchParams({ id: name, lat: "46", lon: "13", timestamp: "1714500000" });
        check((await fetch(`${server.http}ingest/osmand?${query}`)).ok, "the fix is refused");
    }
    const page = await openLive(server);
    const shown = page.locator("#recordings .name");
    await until("all are listed", async () => (await shown.count()) === names.length);
    for (const [text, name] of [
        ["\u010dop", names[0]],
        ["C\u030cOPI", names[0]],
        ["~c4~8c", names[0]],
        ["STRASS", names[1]],
        ["istan", names[2]],
        ["ISTAN", names[2]],
        ["\u03bf\u03b4\u03bf\u03c2", names[3]],
        ["\u041c\u041e\u0421", names[4]],
        ["vAN", names[5]],
        ["paths/van", names[5]],
    ]) {
        await page.fill("#live-prefix", text);
        const isAnswered = () => page.evaluate((prefix) => window.waywiser.live.prefix === prefix && window.waywiser.live.isPageKnown, text);
        await until(`${text} finds ${name}`, async () => (await isAnswered()) && (await shown.allTextContents()).join() === name);
    }
    const none = page.locator("#live-none");
    // A long text of another script is a search without a result, and no error.
    for (const text of ["\u05d0\u05d1", "\u0436".repeat(40)]) {
        await page.fill("#live-prefix", text);
        await until("nothing is found", async () => (await none.textContent()).includes(`\u2068${text}\u2069`));
        equal(await page.locator("#list-state").textContent(), "", "state");
    }
    check(!(await page.locator("#live-partial").isVisible()), "the search is said to be incomplete");
    await page.fill("#live-prefix", "");
    await until("all are listed again", async () => (await shown.count()) === names.length);
    // A server with more recordings than a search reads.
    const prefixes = [];
    await page.route(/api\/paths\?/, (route) => {
        const { searchParams: query } = new URL(route.request().url());
        if (query.get("page_size") !== "1000") {
            // Not a search: the list is read every few seconds.
            return route.continue();
        }
        prefixes.push(query.get("prefix"));
        const paths = query.get("prefix") === "Lorry" ? [{ name: "paths/Lorry-9" }] : [];
        return route.fulfill({ json: { paths, next_page_token: "paths/more" } });
    });
    await page.fill("#live-prefix", "lORRY");
    await until("the capital is found", async () => (await shown.allTextContents()).join() === "Lorry-9");
    equal(prefixes.slice(0, 24), [...Array(20).fill(null), "lORRY", "lorry", "LORRY", "Lorry"], "prefixes");
    check(await page.locator("#live-partial").isVisible(), "the search is said to be complete");
    await closePage(page);
    await stop(server);
}

/** Days, positions and recent points, which not every server returns, with an answer of this test. */
export async function daysAreBarsAndPositionsAreOnTheMap(server) {
    const page = await openLive(server);
    // The ages are the same on a slow machine.
    const now = Date.now();
    await page.clock.setFixedTime(now);
    const days = Array.from({ length: 30 }, (_, day) => ({
        start_time: new Date(Date.UTC(2024, 2, day + 1, 23)).toISOString(),
        end_time: new Date(Date.UTC(2024, 2, day + 2, 23)).toISOString(),
        length_m: 1000 * ((day * 7) % 11),
    }));
    const recording = (index) => ({
        name: `paths/phone-${index}`,
        committed_points: 10,
        update_time: new Date(now).toISOString(),
        last_point: { x: 13 + index, y: 46, time: new Date(now - 5000).toISOString() },
        summary: {
            length_m: 5000,
            raw_length_m: 6000,
            windows: days,
            options: { windows: { unit: "WINDOW_UNIT_DAY", time_zone: "Europe/Berlin" } },
        },
    });
    await page.route(/api\/paths\?/, (route) => route.fulfill({ json: { paths: [0, 1, 2].map(recording), next_page_token: "" } }));
    await page.route(/events\?recent_points=true$/, (route) =>
        route.fulfill({
            contentType: "text/event-stream",
            body: `event: path\ndata: ${JSON.stringify({ ...recording(1), recent_points: [{ x: 14, y: 46 }, { x: 14.2, y: 46.1 }] })}\n\nevent: end\ndata: {}\n\n`,
        }),
    );
    await page.click("nav a[href='#measure']");
    await page.click("nav a[href='#live']");
    await select(page, "phone-1");
    // The bars are those of the list until the stream has sent the positions.
    await until("the stream has ended", async () => (await page.locator("#stream-state").textContent()) === "Finished");
    equal(await page.locator("#live-days rect").count(), 30, "bars");
    await page.locator("#live-days summary").click();
    const first = page.locator("#live-days tbody tr").first();
    // Midnight in Berlin is 23:00 in UTC of the day before.
    equal(await first.locator("td").allTextContents(), ["2024-03-31", `${((29 * 7) % 11).toFixed(2)}\u00a0km`], "the newest day");
    const shown = await page.evaluate(() => [window.waywiser.live.map.markers.length, window.waywiser.live.trail.length]);
    equal(shown, [3, 2], "markers and positions");
    equal(await page.locator("#live-age").textContent(), "5\u00a0s ago", "the age of the last fix");
    await closePage(page);
}

/** Bars by hour have the hours of their time zone as labels, and bars of longer windows their days. */
export async function theLabelsOfBarsAreThoseOfTheirWindows(server) {
    const page = await openLive(server);
    const windows = Array.from({ length: 30 }, (_, hour) => ({
        start_time: new Date(Date.UTC(2024, 4, 1, hour)).toISOString(), length_m: 1000 + hour,
    }));
    let options = {};
    const recording = () => ({ name: "paths/van", committed_points: 10, summary: { length_m: 5000, windows, options: { windows: options } } });
    await page.route(/api\/paths\?/, (route) => route.fulfill({ json: { paths: [recording()] } }));
    await page.route(/events\?recent_points=true$/, (route) => {
        const state = JSON.stringify(recording());
        return route.fulfill({ contentType: "text/event-stream", body: `event: path\ndata: ${state}\n\nevent: end\ndata: {}\n\n` });
    });
    for (const [unit, zone, first, last] of [
        ["HOUR", "Asia/Kolkata", "2024-05-01 05:30", "10:30"],
        ["HOUR", "UTC", "2024-05-01 00:00", "05:00"],
        ["HOUR", "unknown", "2024-05-01 00:00", "05:00"],
        ["DAY", "Asia/Kolkata", "2024-05-01", "05-02"],
        ["MONTH", "Asia/Kolkata", "2024-05", "2024-05"],
    ]) {
        options = { unit: `WINDOW_UNIT_${unit}`, time_zone: zone };
        await page.reload();
        await select(page, "van");
        const bars = page.locator("#live-days");
        await until("the bars are shown", async () => (await bars.locator("rect").count()) === windows.length);
        const starts = (await bars.locator("tbody td:first-child").allTextContents()).reverse();
        equal(starts[0], first, `the first row by ${unit} in ${zone}`);
        equal(new Set(starts).size, { HOUR: 30, DAY: 2, MONTH: 1 }[unit], `different rows by ${unit}`);
        const ticks = await bars.locator("text.tick[text-anchor=middle]").allTextContents();
        equal(ticks.at(-1), last, `the last label by ${unit} in ${zone}`);
        check(ticks.every((tick) => tick !== ""), "a label is empty");
    }
    await closePage(page);
}

/** Follows a recording through many updates. The page must not keep them. */
export async function memoryIsSteady(server, { minutes }) {
    const recording = stream(server, "long");
    recording.send(10);
    const page = await openLive(server);
    await select(page, "long");
    const client = await page.context().newCDPSession(page);
    const used = async () => {
        await client.send("HeapProfiler.collectGarbage");
        const { usedSize } = await client.send("Runtime.getHeapUsage");
        return { heap: usedSize, nodes: (await client.send("Memory.getDOMCounters")).nodes };
    };
    const follow = async (count) => {
        const updates = () => page.evaluate(() => window.waywiser.live.updates);
        const end = (await updates()) + count;
        await until(`${count} updates`, async () => {
            recording.send(2);
            return (await updates()) >= end;
        });
    };
    const stopAt = Date.now() + minutes * 60000;
    await follow(60);
    const first = await used();
    let last = first;
    do {
        await follow(150);
        last = await used();
        console.log(`    heap ${first.heap} then ${last.heap} bytes, ${first.nodes} then ${last.nodes} nodes`);
    } while (Date.now() < stopAt);
    check(last.heap < first.heap * 1.5, "the heap grows with the number of updates");
    check(last.nodes < first.nodes * 1.5 + 100, "the number of nodes grows with the number of updates");
    await finishStream(recording);
    await closePage(page);
}

