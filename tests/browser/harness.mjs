// Starts servers and a browser, and records everything that a page must not do.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";

const require = createRequire(`${process.env.BROWSER_PACKAGES}/`);
const { chromium } = require("playwright-core");

export const ROOT = path.resolve(import.meta.dirname, "../..");
export const WAYWISER = process.env.WAYWISER ?? path.join(ROOT, "target/release/waywiser");
export const OUTPUT = path.join(ROOT, "target/browser");
export const scratch = mkdtempSync(path.join(tmpdir(), "waywiser-browser-"));
/** The source of axe-core. */
export const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const children = new Set();

export function check(condition, message) {
    if (!condition) {
        throw new Error(message);
    }
}

export function equal(actual, expected, message) {
    const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
    check(a === b, `${message}: ${a} instead of ${b}`);
}

/** The time after which a wait hangs, as in .ci/watchdog, also a wait of Playwright. It is not a limit of what is tested. */
const HANG_MS = 1000 * Number(process.env.WATCHDOG_SECONDS ?? 600);

/** Waits until a function returns something. */
export async function until(message, test) {
    console.log(`    waiting: ${message}`);
    const end = Date.now() + HANG_MS;
    for (;;) {
        check(Date.now() < end, `it hangs: ${message}`);
        const value = await test();
        if (value) {
            return value;
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

/** Waits until a map of the page has the size of its canvas, and no frame is due. Each new size fits the map again. */
export async function drawn(page, view) {
    await page.waitForFunction((name) => {
        const { map } = window.waywiser[name];
        const { clientWidth, clientHeight } = map.canvas;
        return clientWidth > 0 && map.size.width === clientWidth && map.size.height === clientHeight && !map.isWaiting;
    }, view);
}

/** Starts a process that ends with this one. */
export function start(args, options = {}) {
    const child = spawn(WAYWISER, args, { stdio: ["pipe", "pipe", "pipe"], ...options });
    children.add(child);
    child.on("exit", () => children.delete(child));
    /** Resolves when the log is complete, which may be after the end of the process. */
    child.closed = new Promise((resolve) => child.once("close", resolve));
    child.log = "";
    child.stdout.on("data", (data) => (child.log += data));
    child.stderr.on("data", (data) => (child.log += data));
    return child;
}

export function ended(child) {
    return child.exitCode !== null || child.signalCode !== null
        ? Promise.resolve(child.exitCode)
        : new Promise((resolve) => child.on("exit", resolve));
}

/** Starts a server, and returns its process and its addresses. */
export async function startServer(args, ports = ["0", "0"]) {
    const child = start([
        "serve", "--listen", `127.0.0.1:${ports[0]}`, "--http", `127.0.0.1:${ports[1]}`, "--log-format", "text",
        "--drain-timeout", "1s", ...args,
    ]);
    const port = (message) => new RegExp(`${message} address=127.0.0.1:(\\d+)`).exec(child.log)?.[1];
    await until("the server listens", () => {
        check(child.exitCode === null, `the server has ended: ${child.log}`);
        return port("INFO listening") && port("listening for HTTP");
    });
    const [grpc, http] = [port("INFO listening"), port("listening for HTTP")];
    return { child, ports: [grpc, http], grpc: `http://127.0.0.1:${grpc}`, http: `http://127.0.0.1:${http}/` };
}

export async function stop(server, signal = "SIGTERM") {
    server.child.kill(signal);
    await server.child.closed;
    check(!/panicked| ERROR /.test(server.child.log), `the server has an error: ${server.child.log}`);
}

/** Runs the program and returns its standard output. */
export function run(args, options = {}) {
    const result = spawnSync(WAYWISER, args, { encoding: "utf8", maxBuffer: 1 << 28, ...options });
    check(result.status === 0, `waywiser ${args.join(" ")}: ${result.stderr}`);
    return result.stdout;
}

/** Runs a command line of the page in the folder of the files, and returns its objects. */
export function runLine(line, folder) {
    check(line.startsWith("waywiser measure "), line);
    const command = line.replace("waywiser measure", '"$WAYWISER" measure --json');
    const result = spawnSync("sh", ["-c", command], {
        cwd: folder, encoding: "utf8", maxBuffer: 1 << 28, env: { ...process.env, WAYWISER },
    });
    check(result.status === 0, `${line}: ${result.stderr}`);
    return result.stdout.trim().split("\n").map((row) => JSON.parse(row));
}

export function scratchFile(name, text) {
    const file = path.join(scratch, name);
    writeFileSync(file, text);
    return file;
}

let browser;

export async function openBrowser() {
    browser ??= await chromium.launch({
        timeout: HANG_MS,
        executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
        args: ["--no-sandbox", "--disable-dev-shm-usage", "--js-flags=--expose-gc"],
    });
    return browser;
}

/** Opens a page. With `hasClock`, its clock stands still until the test moves it forward. Its faults are what a page must never do, and what the test does not expect. */
export async function openPage(server, view = "", options = {}) {
    const { tiles, expected = [], hasClock = false, ...ofContext } = options;
    const context = await (await openBrowser()).newContext({ viewport: { width: 1440, height: 900 }, ...ofContext });
    // That of Playwright is 30 s, which a busy machine can need.
    context.setDefaultTimeout(HANG_MS);
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const page = await context.newPage();
    const { host } = new URL(server.http);
    const faults = [];
    page.faults = faults;
    /** Messages of the console that the test expects. */
    page.expected = [...expected];
    /** A text that no address may contain. */
    page.secret = "";
    page.on("pageerror", (error) => faults.push(`error: ${error.stack}`));
    page.on("request", (request) => {
        const url = new URL(request.url());
        if (!["blob:", "data:"].includes(url.protocol) && url.host !== host && url.host !== tiles) {
            faults.push(`request to another host: ${request.url()}`);
        }
        if (page.secret && request.url().includes(page.secret)) {
            faults.push(`the token is in an address: ${request.url()}`);
        }
    });
    page.on("console", (message) => {
        const text = message.text();
        const isExpected = page.expected.some((expected) => expected.test(text));
        if (message.type() === "error" && !isExpected) {
            faults.push(`console: ${text} ${message.location().url}`);
        }
    });
    if (hasClock) {
        // A clock that runs would make results depend on the speed of the machine.
        const time = Date.now();
        await page.clock.install({ time });
        await page.clock.pauseAt(time + 1000);
    }
    await slowDown(page, server);
    await serveFiles(page, server);
    await page.goto(`${server.http}${view ? `#${view}` : ""}`);
    await exposeViews(page);
    return page;
}

/** Makes the views of the page known to the tests, as `window.waywiser`. A page that is loaded again needs it again. */
export async function exposeViews(page) {
    if (!page.url().startsWith("file:")) {
        await page.evaluate(async () => {
            const { views } = await import(new URL("page/main.js", document.baseURI).href);
            window.waywiser = views;
        });
    }
}

/**
 * With SLOWDOWN, the scripts of the page are slower by this factor, and each request to the server waits for up to a second. A test
 * that reads the page too early then fails.
 */
async function slowDown(page, server) {
    const factor = Number(process.env.SLOWDOWN ?? 1);
    if (factor > 1) {
        const session = await page.context().newCDPSession(page);
        await session.send("Emulation.setCPUThrottlingRate", { rate: factor });
        await page.route(`${server.http}api/**`, async (route) => {
            await new Promise((resolve) => setTimeout(resolve, 1000 * Math.random()));
            // The page may be closed meanwhile.
            await route.fallback().catch(() => {});
        });
    }
}

/** With PAGE_FILES, the files of the page are those of this folder instead of those in the program. */
async function serveFiles(page, server) {
    const folder = process.env.PAGE_FILES;
    // A report has the files of the program.
    if (folder && server.http.startsWith("http:")) {
        await page.route(new RegExp(`^${server.http}(page/.*)?(#.*)?$`), async (route) => {
            const name = new URL(route.request().url()).pathname.replace("/page/", "").replace("/", "") || "index.html";
            // The page may be closed meanwhile.
            const response = await route.fetch().catch(() => null);
            const text = await response?.text().catch(() => null);
            if (response && typeof text === "string") {
                const file = readFileSync(path.join(folder, name), "utf8");
                // The settings are those of the server.
                const data = /id="data">(.*)<\/script>/.exec(text)?.[1] ?? "{}";
                await route.fulfill({ response, body: file.replace('id="data">{}', () => `id="data">${data}`) }).catch(() => {});
            }
        });
    }
}

/** Fails if the page has done what it must not do, and closes it. */
export async function closePage(page) {
    // A handler of a request that is running meanwhile must not fail because the page is closed.
    await page.goto("about:blank");
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await page.context().close();
    equal(page.faults, [], "faults of the page");
}

export async function finish() {
    await browser?.close();
    for (const child of children) {
        child.kill("SIGKILL");
    }
    rmSync(scratch, { recursive: true, force: true });
}
