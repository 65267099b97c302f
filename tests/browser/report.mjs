// The page as one file that `waywiser measure --report` writes.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { ROOT, WAYWISER, check, closePage, equal, openPage, run, scratch, scratchFile } from "./harness.mjs";

const EXAMPLES = path.join(ROOT, "examples");

/** Writes a report, and opens it without a server. Returns the page and the objects that --json prints. */
async function open(args) {
    const file = path.join(scratch, "report.html");
    const rows = run(["measure", "--json", "--report", file, ...args]).trim().split("\n").map((row) => JSON.parse(row));
    const page = await openPage({ http: `file://${file}` });
    await page.waitForFunction(() => document.body.classList.contains("is-report"), null, { timeout: 0 });
    const { total } = rows.pop();
    return { page, rows, total };
}

/** Returns a value whose objects have their members in the order of the names. */
function sorted(value) {
    if (Array.isArray(value)) {
        return value.map(sorted);
    }
    if (value === null || typeof value !== "object") {
        return value;
    }
    return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]));
}

async function compare({ page, rows, total }) {
    const value = async (id) => Number(await page.locator(`#${id}`).getAttribute("value"));
    equal(await value("total-length"), total.length_m ?? total.length, "length");
    equal(await value("total-raw"), total.raw_length_m ?? total.raw_length, "raw length");
    const report = await page.evaluate(() => JSON.parse(document.getElementById("data").textContent).report);
    equal(sorted(report.total), sorted(total), "total");
    const numbered = rows.map((row, index) => ({ ...row, track_index: index }));
    equal(sorted(report.tracks), sorted(numbered), "tracks");
    const lines = report.lines.map(({ track_index: index }) => index);
    equal(lines, rows.map((_, index) => index), "lines");
    equal(await page.evaluate(() => performance.getEntriesByType("resource").length), 0, "requests");
    await closePage(page);
}

export async function aReportHasTheNumbersOfTheCommand() {
    const files = ["hill-walk.gpx", "legs.csv", "legs.geojson"].map((name) => path.join(EXAMPLES, name));
    await compare(await open(files));
    await compare(await open(["--preset", "walk", "--max-speed", "3", files[0]]));
    await compare(await open(["--model", "planar", scratchFile("plane.csv", "x,y\n0,0\n3,4\n3,10\n")]));
}

export async function aNameCannotBecomeAPartOfAReport() {
    const name = "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;";
    const points = '<trkseg><trkpt lat="46" lon="13"/><trkpt lat="46.1" lon="13"/></trkseg>';
    const file = scratchFile("hostile.gpx", `<gpx version="1.1"><trk><name>${name}</name>${points}</trk></gpx>`);
    const opened = await open([file]);
    check((await opened.page.locator("img").count()) === 0, "a name became an element");
    await compare(opened);
}

export async function aReportIsNamedAfterItsFile() {
    const empty = await openFailed("empty.gpx");
    equal(await empty.title(), "empty.gpx \u00b7 waywiser", "title");
    check((await empty.locator("#measure-status").textContent()).startsWith("empty.gpx: 0"), "the text does not name the file");
    check((await empty.locator("#errors").textContent()).includes("the file is empty"), "the error is missing");
    await closePage(empty);
}

/** Writes a report of an empty file, and opens it. */
async function openFailed(name) {
    const file = path.join(scratch, "failed.html");
    equal(spawnSync(WAYWISER, ["measure", "--report", file, path.basename(scratchFile(name, ""))], { cwd: scratch }).status, 1, "status");
    const page = await openPage({ http: `file://${file}` });
    await page.waitForFunction(() => document.body.classList.contains("is-report"), null, { timeout: 0 });
    return page;
}
