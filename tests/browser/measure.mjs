// The view that measures a file.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { FILES } from "./files.mjs";
import { ROOT, WAYWISER, check, closePage, drawn, equal, openPage, runLine, scratch, scratchFile, startServer, stop, until } from "./harness.mjs";

const EXAMPLES = path.join(ROOT, "examples");

/** Waits until no measurement is running or due, so that the shown answer belongs to the shown options. */
async function settled(page, answers) {
    await page.waitForFunction(
        (least) =>
            window.waywiser.measure.answers >= least &&
            document.getElementById("measure").getAttribute("aria-busy") !== "true",
        answers,
        { timeout: 0 },
    );
}

async function answers(page) {
    return page.evaluate(() => window.waywiser.measure.answers);
}

async function open(page, file) {
    const before = await answers(page);
    await page.setInputFiles("#file", file);
    await settled(page, before + 1);
}

/** Compares the numbers of the page with those of its command line. */
async function compare(page, folder) {
    const line = await page.locator("#command").textContent();
    const rows = runLine(line, folder);
    const { total } = rows.pop();
    const value = async (id) => Number(await page.locator(`#${id}`).getAttribute("value"));
    equal(await value("total-length"), total.length_m ?? total.length, `${line}: length`);
    equal(await value("total-accepted"), total.length_m ?? total.length, `${line}: accepted`);
    equal(await value("total-raw"), total.raw_length_m ?? total.raw_length, `${line}: raw length`);
    if (total.estimated_length_m !== undefined) {
        equal(await value("total-estimate"), total.estimated_length_m, `${line}: estimate`);
    }
    const cells = await page.locator("#ledger tbody td:nth-child(2)").allTextContents();
    const counts = cells.map((cell) => Number(cell.replace(/[^\d]/g, "") || "0"));
    const gaps = (total.gap_length_m ?? total.gap_length) !== 0 ? [0] : [];
    const expected = [total.points, ...total.rejections.map(({ count }) => count), ...gaps, total.accepted];
    equal(counts, expected, `${line}: ledger`);
    return { total, rows };
}

function tracks() {
    const points = (shift) =>
        Array.from({ length: 30 }, (_, index) => {
            const [lat, lon] = [(46 + shift + index * 0.001).toFixed(4), (13 + index * 0.001).toFixed(4)];
            return { lat, lon, ele: String(200 + index), time: `2024-05-0${1 + shift}T10:${String(index).padStart(2, "0")}:00Z` };
        });
    const tcx = points(0).map(
        ({ lat, lon, ele, time }) =>
            `<Trackpoint><Time>${time}</Time><Position><LatitudeDegrees>${lat}</LatitudeDegrees>` +
            `<LongitudeDegrees>${lon}</LongitudeDegrees></Position><AltitudeMeters>${ele}</AltitudeMeters></Trackpoint>`,
    );
    const kml = points(0).map(({ lat, lon, ele }) => `${lon},${lat},${ele}`);
    const trk = (shift, name) =>
        `<trk><name>${name}</name><trkseg>${points(shift)
            .map(({ lat, lon, ele, time }) => `<trkpt lat="${lat}" lon="${lon}"><ele>${ele}</ele><time>${time}</time></trkpt>`)
            .join("")}</trkseg></trk>`;
    return {
        tcx: scratchFile(
            "run.tcx",
            `<?xml version="1.0"?><TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2">` +
                `<Activities><Activity Sport="Running"><Id>2024-05-01T10:00:00Z</Id><Lap StartTime="2024-05-01T10:00:00Z">` +
                `<Track>${tcx.join("")}</Track></Lap></Activity></Activities></TrainingCenterDatabase>`,
        ),
        kml: scratchFile(
            "line.kml",
            `<kml xmlns="http://www.opengis.net/kml/2.2"><Placemark><name>Line</name><LineString><coordinates>` +
                `${kml.join(" ")}</coordinates></LineString></Placemark></kml>`,
        ),
        // The name of a file and of a track must never become a part of the page.
        several: scratchFile(
            "two 'tracks' <b>.gpx",
            `<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">${trk(0, "&lt;img src=x onerror=alert(1)&gt;")}${trk(1, "Second")}</gpx>`,
        ),
        // 179.9° E to 179.9° W, and back.
        antimeridian: scratchFile(
            "date-line.csv",
            `lon,lat,time\n179.9,-17,2024-01-01T00:00:00Z\n-179.9,-17.1,2024-01-01T06:00:00Z\n179.95,-17.2,2024-01-01T12:00:00Z\n`,
        ),
        planar: scratchFile("plan.csv", "x,y\n0,0\n3,4\n3,10\n500,10\n"),
        rejected: scratchFile(
            "rejected.csv",
            "lon,lat,time,accuracy\n13.70,46.1,2024-01-01T00:00:00Z,5\n13.71,46.1,2024-01-01T00:10:00Z,5\n" +
                "13.72,46.1,2024-01-01T00:20:00Z,900\n13.73,46.1,2024-01-01T00:30:00Z,5\n19.73,46.1,2024-01-01T00:31:00Z,5\n" +
                "13.74,46.1,2024-01-01T00:40:00Z,5\n0,0,2024-01-01T00:50:00Z,5\n13.75,46.1,2024-01-01T01:00:00Z,5\n",
        ),
    };
}

export async function filesOfEachKind(server) {
    const page = await openPage(server);
    const files = tracks();
    for (const name of ["hill-walk.gpx", "legs.csv", "legs.geojson"]) {
        await open(page, path.join(EXAMPLES, name));
        await compare(page, EXAMPLES);
    }
    for (const file of [files.tcx, files.kml, files.several, files.antimeridian, files.rejected]) {
        await open(page, file);
        await compare(page, scratch);
        check(!(await page.locator("img").count()), "a name became an element");
    }
    // A line over the antimeridian is short.
    await open(page, files.antimeridian);
    const width = await page.evaluate(() => {
        const { box } = window.waywiser.measure.map.lines[0].vertices;
        return box.maxX - box.minX;
    });
    check(width < 0.01, `the line over the antimeridian has a width of ${width}`);
    const before = await answers(page);
    await page.selectOption(".choice:has-text('Model') select", "planar");
    await settled(page, before + 1);
    await open(page, files.planar);
    const { total } = await compare(page, scratch);
    equal(total.length, 508, "planar length");
    await closePage(page);
}

/** Drops a file on the page. */
async function drop(page, name, content) {
    const transfer = await page.evaluateHandle(
        ([fileName, base64]) => {
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], fileName));
            return data;
        },
        [name, Buffer.from(content).toString("base64")],
    );
    for (const event of ["dragenter", "dragover"]) {
        await page.dispatchEvent("main", event, { dataTransfer: transfer });
    }
    check(await page.locator(".drop-hint").isVisible(), "no hint while a file is dragged");
    await page.dispatchEvent("main", "drop", { dataTransfer: transfer });
    check(!(await page.locator(".drop-hint").isVisible()), "the hint stays");
}

/** Drops a file of each format that the program names, and each kind of compressed file. */
export async function dropsAFileOfEachFormat(server) {
    const document = await (await fetch(`${server.http}api/openapi.json`)).json();
    const parameters = document.paths["/api/measure"].post.parameters;
    const formats = parameters.find(({ name }) => name === "format").schema.enum;
    const missing = formats.filter((format) => !FILES.some((file) => file.format === format));
    equal(missing, [], "formats without a file");
    const page = await openPage(server);
    page.expected.push(/Failed to load resource.*422/);
    for (const { format, name, content, length } of FILES) {
        const before = await answers(page);
        const file = scratchFile(name, content);
        await drop(page, name, content);
        if (format === "parquet" && isWithoutParquet(file)) {
            await until("the reason is shown", async () => (await page.locator("#measure-status").textContent()).includes("does not read Parquet"));
            continue;
        }
        await settled(page, before + 1);
        const { total, rows } = await compare(page, scratch);
        const isLength = length === null ? total.length_m > 0 : Math.abs(total.length_m - length) < 0.01 * length;
        check(isLength, `${name} has the length ${total.length_m} instead of ${length}`);
        const status = await page.locator("#measure-status").textContent();
        const points = new Intl.NumberFormat("en").format(total.points);
        check(status.startsWith(`${name}: `) && status.endsWith(`, ${points}\u00a0points`), status);
        equal(await page.evaluate(() => window.waywiser.measure.map.lines.length), rows.length, `${name}: lines`);
    }
    await closePage(page);
}

/** A file that is pasted or dropped in another view is shown in the view that measures files. */
export async function aFileOpensItsViewFromEachOther(server) {
    const page = await openPage(server);
    const paste = (name, content) =>
        page.evaluate(
            ([fileName, text]) => {
                const clipboardData = new DataTransfer();
                clipboardData.items.add(new File([text], fileName));
                document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
            },
            [name, content],
        );
    for (const view of ["live", "phone"]) {
        for (const [kind, give] of [["pasted", paste], ["dropped", (...file) => drop(page, ...file)]]) {
            await page.click(`nav a[href='#${view}']`);
            const before = await answers(page);
            await give(`${kind}.csv`, "lon,lat\n13,46\n13.1,46.1\n");
            await settled(page, before + 1);
            await page.locator("#measure-status").waitFor();
            equal(await page.locator("#measure-status").textContent(), `${kind}.csv: 1\u00a0track, 2\u00a0points`, "status");
        }
    }
    await closePage(page);
}

/** Returns whether the program was built without this format. */
function isWithoutParquet(file) {
    const { stderr } = spawnSync(WAYWISER, ["measure", file], { encoding: "utf8" });
    return stderr.includes("does not read Parquet");
}

export async function optionsChangeTheNumbers(server) {
    const page = await openPage(server);
    await open(page, path.join(EXAMPLES, "hill-walk.gpx"));
    const { total: unfiltered } = await compare(page, EXAMPLES);
    let count = await answers(page);
    await page.selectOption(".choice:has-text('Kind') select", "walk");
    await settled(page, count + 1);
    await compare(page, EXAMPLES);
    const lengths = new Set();
    for (const [option, presses] of [["max-speed", 4], ["min-step", 3], ["max-gap-time", 4], ["max-speed", 3]]) {
        await page.focus(`#option-${option}`);
        count = await answers(page);
        for (let press = 0; press < presses; press += 1) {
            await page.keyboard.press("ArrowRight");
        }
        // Each press may be a measurement of its own.
        await settled(page, count + 1);
        check((await page.locator("#command").textContent()).includes(`--${option}`), `the command line has no --${option}`);
        lengths.add((await compare(page, EXAMPLES)).total.length_m);
    }
    check(lengths.size >= 3 && !lengths.has(unfiltered.length_m), `the sliders have no effect: ${[...lengths]}`);
    // Red crosses where the library rejects points, and a legend.
    const rejected = await page.evaluate(() => window.waywiser.measure.map.lines[0].rejected.length);
    check(rejected > 0 && (await page.locator("#map-legend").isVisible()), "no rejected point is marked");
    count = await answers(page);
    await page.click("text=Reset the options");
    await settled(page, count + 1);
    const { total } = await compare(page, EXAMPLES);
    equal(total.length_m, unfiltered.length_m, "length after the reset");
    check(!(await page.locator("#map-legend").isVisible()), "the legend stays");
    await closePage(page);
}

/** The text next to a slider is the number of the preset: with this number as an option, nothing changes. */
export async function presetsHaveTheNumbersOfTheProgram(server) {
    const page = await openPage(server);
    const seconds = (count) => new Date(Date.UTC(2024, 0, 1) + count * 1000).toISOString();
    // Legs of 1 m to 600 m and of 5 cm to 1.5 m in a second, with accuracy radii of 5 m to 640 m.
    let lat = 46;
    const rows = Array.from({ length: 400 }, (_, index) => {
        lat += (index % 2 ? 1 + ((index * 37) % 600) : (1 + ((index * 7) % 30)) * 0.05) / 111200;
        return `13,${lat.toFixed(8)},${seconds(index)},${5 * 2 ** (index % 8)}`;
    });
    await open(page, scratchFile("steps.csv", `lon,lat,time,accuracy\n${rows.join("\n")}\n`));
    const presets = page.locator(".choice:has-text('Kind') select");
    const names = (await presets.locator("option").evaluateAll((options) => options.map(({ value }) => value))).slice(1);
    equal(names.length, 7, "presets");
    const lengths = new Set();
    for (const name of names) {
        const before = await answers(page);
        await presets.selectOption(name);
        await settled(page, before + 1);
        const { total } = await compare(page, scratch);
        lengths.add(total.length_m);
        const options = [];
        for (const option of ["max-speed", "max-accuracy", "stopped-speed"]) {
            const text = await page.locator(`output[for=option-${option}]`).textContent();
            check(/^[\d.]+\u00a0(m|m\/s), preset$/.test(text), `${name}: ${option} has the text ${text}`);
            options.push(`--${option} ${Number.parseFloat(text)}`);
        }
        const [line] = (await page.locator("#command").textContent()).split(" steps.csv");
        const same = runLine(`${line} ${options.join(" ")} steps.csv`, scratch).pop().total;
        equal({ ...same, notes: [] }, { ...total, notes: [] }, `${name} with its options`);
    }
    check(lengths.size > 4, `the presets have the lengths ${[...lengths]}`);
    await closePage(page);
}

/** Returns how many pixels of the map have the colour of rejected points. */
async function redPixels(page) {
    return page.evaluate(() => {
        const canvas = document.querySelector("#measure-map canvas");
        const color = getComputedStyle(document.documentElement).getPropertyValue("--rejected").trim();
        const wanted = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let at = 0; at < data.length; at += 4) {
            count += wanted.every((value, part) => Math.abs(data[at + part] - value) < 24) ? 1 : 0;
        }
        return count;
    });
}

export async function rejectedPointsAreRed(server) {
    const page = await openPage(server);
    await open(page, tracks().rejected);
    await drawn(page, "measure");
    equal(await redPixels(page), 0, "red pixels without filters");
    const before = await answers(page);
    await page.selectOption(".choice:has-text('Kind') select", "walk");
    await settled(page, before + 1);
    const { total } = await compare(page, scratch);
    equal(total.rejections.map(({ reason }) => reason).sort(), ["accuracy", "speed", "zero_position"], "reasons");
    await until("the map is red", () => redPixels(page));
    const marked = await page.evaluate(() => window.waywiser.measure.result.lines[0].rejected);
    equal(marked, [null, null, "accuracy", null, "speed", null, "zero_position", null], "reasons of the points");
    await closePage(page);
}

/** The profile has the length and the speeds of the accepted points, with each filter. */
export async function theProfileIsOfTheAcceptedPoints(server) {
    const page = await openPage(server);
    // Legs of 1.1 m in a second. Some points are far away, also at both ends, and one of them is at a much later time.
    const rows = Array.from({ length: 300 }, (_, index) => {
        const isFar = [40, 41, 120, 200, 299].includes(index);
        const seconds = index === 120 ? 90000 : index;
        const time = new Date(Date.UTC(2024, 0, 1) + seconds * 1000).toISOString();
        return `13,${((isFar ? 52 : 46) + index * 1e-5).toFixed(5)},${time},${isFar ? 900 : 5},${isFar ? 5000 : 300 + index * 0.1}`;
    });
    await open(page, scratchFile("jumps.csv", `lon,lat,time,accuracy,elevation\n${rows.join("\n")}\n`));
    const before = await answers(page);
    await page.selectOption(".choice:has-text('Kind') select", "walk");
    await settled(page, before + 1);
    const strokes = await page.evaluate(() =>
        ["elevation", "speed", "rejected"].map((name) => {
            const line = document.querySelector(`.workbench svg .${name}`);
            return line ? getComputedStyle(line).stroke : name;
        }),
    );
    equal(new Set(strokes.filter((stroke) => stroke.startsWith("rgb"))).size, 3, `colours of the profile: ${strokes.join(" ")}`);
    const { total } = await compare(page, scratch);
    check(total.length_m < 400 && total.rejections.length > 0, `the filters leave ${total.length_m} m`);
    const shown = await page.evaluate(() => {
        const { profile } = window.waywiser.measure;
        return { end: profile.distances.at(-1), most: Math.max(...profile.speeds), rejected: profile.speeds[120] };
    });
    check(Math.abs(shown.end - total.length_m) < 0.02 * total.length_m, `the profile ends at ${shown.end} instead of ${total.length_m}`);
    check(shown.most < 3 && shown.rejected === null, `speeds of ${shown.most} m/s, and of a rejected point ${shown.rejected}`);
    const marks = page.locator("#profile svg .rejected");
    equal(await marks.count(), 1, "marks of rejected points");
    const ticks = async () => (await page.locator("#profile svg .tick").allTextContents()).join(" ");
    check(!(await ticks()).includes("5,000"), `the elevation of a rejected point is in the scale: ${await ticks()}`);
    await page.check("#profile-axis input[value=time]", { force: true });
    check(!(await ticks()).includes("2024-01-02"), `the time of a rejected point is in the scale: ${await ticks()}`);
    await page.locator("#profile details summary").click();
    const cells = (await page.locator("#profile tbody").textContent()) ?? "";
    check(!cells.includes("5,000"), "the table has rejected points");
    await page.click("text=Reset the options");
    await settled(page, before + 2);
    equal(await marks.count(), 0, "marks without filters");
    await closePage(page);
}

/** An answer that is overtaken by a newer one is never shown. */
export async function theNewestAnswerWins(server) {
    const page = await openPage(server);
    page.expected.push(/ERR_ABORTED/);
    await open(page, path.join(EXAMPLES, "legs.csv"));
    const count = await answers(page);
    let held;
    await page.route(/max-speed=0\.5/, async (route) => {
        held = route;
        const response = await route.fetch().catch(() => null);
        await until("the newer answer is shown", async () => (await answers(page)) > count);
        await (response ? route.fulfill({ response }) : route.abort()).catch(() => {});
    });
    await page.focus("#option-max-speed");
    await page.keyboard.press("ArrowRight");
    await until("the first request is held", () => held);
    await page.keyboard.press("End");
    await settled(page, count + 1);
    await compare(page, EXAMPLES);
    check((await page.locator("#command").textContent()).includes("--max-speed 400"), "the options are not the newest");
    // Several steps of a slider in a row are one request.
    let requests = 0;
    page.on("request", (request) => (requests += request.url().includes("api/measure") ? 1 : 0));
    const slider = page.locator("#option-max-speed");
    const isBusy = await slider.evaluate((input) => {
        for (let step = 0; step < 10; step += 1) {
            input.stepDown();
            input.dispatchEvent(new Event("input", { bubbles: true }));
        }
        return document.getElementById("measure").getAttribute("aria-busy");
    });
    equal(isBusy, "true", "the mark of numbers of other options");
    await settled(page, count + 2);
    equal(requests, 1, "requests after ten steps");
    await compare(page, EXAMPLES);
    await closePage(page);
}

export async function theCursorIsShared(server) {
    const page = await openPage(server);
    await open(page, path.join(EXAMPLES, "hill-walk.gpx"));
    await drawn(page, "measure");
    const plot = page.locator("#profile .plot");
    await plot.hover();
    check(/km.*UTC.*elevation.*km\/h/.test(await page.locator(".readout").textContent()), "the readout has no values");
    const index = () => page.evaluate(() => window.waywiser.measure.map.cursor?.index ?? null);
    check((await index()) > 0, "the map has no cursor");
    await plot.focus();
    await page.keyboard.press("End");
    equal(await index(), await page.evaluate(() => window.waywiser.measure.result.lines[0].coordinates.length - 1), "cursor");
    check((await plot.getAttribute("aria-valuetext")).startsWith("12.39\u00a0km"), "the end of the track is not its length");
    await page.keyboard.press("Home");
    equal(await index(), 0, "cursor at the start");
    // From the map to the profile.
    const canvas = page.locator("#measure-map canvas");
    const place = await page.evaluate(() => {
        const { map } = window.waywiser.measure;
        return { x: map.screenX(map.lines[0].vertices.xs[500]), y: map.screenY(map.lines[0].vertices.ys[500]) };
    });
    await plot.blur();
    await canvas.hover({ position: place });
    check((await index()) !== null && (await page.locator(".readout").textContent()) !== "", "the map does not move the cursor");
    await page.check("#profile-axis input[value=time]", { force: true });
    await page.locator("#profile details summary").click();
    equal(await page.locator("#profile tbody tr").count(), 21, "rows of the profile");
    await closePage(page);
}

/** A page that has the answer of a measurement in itself shows it, and nothing that needs a server. */
export async function aReportShowsItsData(server) {
    const page = await openPage(server);
    await open(page, path.join(EXAMPLES, "hill-walk.gpx"));
    const report = await page.evaluate(() => window.waywiser.measure.result);
    await page.route(server.http, async (route) => {
        const response = await route.fetch();
        const data = JSON.stringify({ report }).replaceAll("<", "\\u003c");
        await route.fulfill({ response, body: (await response.text()).replace(/id="data">.*?<\/script>/, () => `id="data">${data}</script>`) });
    });
    let requests = 0;
    page.on("request", (request) => (requests += request.url().includes("/api/") ? 1 : 0));
    await page.reload();
    const length = Number(await page.locator("#total-length").getAttribute("value"));
    equal(length, report.total.length_m, "length");
    check(!(await page.locator("nav").isVisible()) && !(await page.locator(".settings").isVisible()), "a report has controls");
    equal(requests, 0, "requests to the API");
    await closePage(page);
}

export async function tracksCanBeSelected(server) {
    const page = await openPage(server);
    await open(page, tracks().several);
    const buttons = page.locator("#tracks .row-button");
    equal(await buttons.count(), 2, "tracks");
    await buttons.nth(1).click();
    equal(await buttons.nth(1).getAttribute("aria-pressed"), "true", "pressed");
    equal(await page.locator("#profile-title").textContent(), "Profile: Second", "title");
    check(await buttons.nth(1).evaluate((button) => button === document.activeElement), "the focus is lost");
    await closePage(page);
}

export async function errorsAreShown(server) {
    const page = await openPage(server);
    page.expected.push(/Failed to load resource.*(422|400|413)/);
    await open(page, path.join(EXAMPLES, "legs.csv"));
    await page.setInputFiles("#file", scratchFile("nothing.txt", "nothing to measure"));
    await page.waitForSelector("#measure-status.is-error");
    check((await page.locator("#measure-status").textContent()).length > 10, "no message");
    await page.setInputFiles("#file", scratchFile("cut.gpx", "<gpx><trk><trkseg><trkpt lat='0' lon='1'/><trkpt lat='0' lon='2'/>\n<trk"));
    await page.waitForSelector("#errors .is-error");
    check(await page.locator("#total").isVisible(), "the numbers of a file with an error are hidden");
    equal(
        await page.locator("#measure-status").textContent(),
        "cut.gpx: 1\u00a0track, 2\u00a0points; the file could not be measured completely",
        "status of a file with an error",
    );
    // Nothing is left of the file before, but the filters.
    await page.setInputFiles("#file", scratchFile("nothing.txt", "nothing to measure"));
    await page.waitForSelector("#measure-status.is-error");
    equal(await page.locator("#errors li").count(), 0, "errors of the file before");
    equal(await page.evaluate(() => window.waywiser.measure.map.lines.length), 0, "lines of the file before");
    for (const id of ["total", "profile", "measure-map", "ledger"]) {
        check(!(await page.locator(`#${id}`).isVisible()), `${id} of the file before is visible`);
    }
    check(await page.locator("#options").isVisible(), "the filters are hidden");
    await open(page, path.join(EXAMPLES, "legs.csv"));
    await compare(page, EXAMPLES);
    check(await page.locator("#total").isVisible(), "the length stays hidden");
    await closePage(page);
}

/** The page says which file has failed and why, and what it cannot do. */
export async function theTextsOfFilesThatFail() {
    const server = await startServer(["--ephemeral", "--max-upload-bytes", "100000"]);
    const page = await openPage(server);
    page.expected.push(/Failed to load resource.*422/);
    const status = page.locator("#measure-status");
    const failure = async (file) => {
        await page.setInputFiles("#file", file);
        await page.waitForFunction(() => !document.getElementById("measure-status").textContent.startsWith("Measuring"), null, { timeout: 0 });
        check(await status.evaluate((place) => place.classList.contains("is-error")), "the text is no error");
        return status.textContent();
    };
    equal(await failure(scratchFile("empty.gpx", "")), "empty.gpx: the file is empty.", "empty file");
    equal(
        await failure(scratchFile("large.csv", "x".repeat(150000))),
        "large.csv has 146.5\u00a0KiB, and this server accepts files of up to 97.7\u00a0KiB. Compress the file, or measure it with the command line.",
        "large file",
    );
    const columns = await failure(scratchFile("columns.csv", "a,b\n1,2\n"));
    check(columns.endsWith("The page does not have --y-column: measure the file with the command line."), columns);
    // Several files in an archive: each track, error and note has its file.
    const folder = path.join(scratch, "members");
    mkdirSync(folder, { recursive: true });
    const table = "lon,lat,time\n13,46,01/02/2024 10:00\n13.1,46.1,01/02/2024 11:00\n";
    for (const [name, text] of [["first.csv", table], ["second.csv", table], ["empty.csv", ""], ["notes.txt", "hello"]]) {
        writeFileSync(path.join(folder, name), text);
    }
    const archive = path.join(scratch, "members.zip");
    const script = `import shutil; shutil.make_archive(${JSON.stringify(archive.slice(0, -4))}, "zip", ${JSON.stringify(folder)})`;
    equal(spawnSync("python3", ["-c", script]).status, 0, "python3");
    await open(page, archive);
    const names = await page.locator("#tracks .row-button").allTextContents();
    equal(names.toSorted(), ["first.csv \u00b7 1", "second.csv \u00b7 1"], "tracks");
    equal(
        await status.textContent(),
        "members.zip: 2\u00a0tracks, 4\u00a0points; 1 of 3 files could not be measured completely",
        "status of an archive with errors",
    );
    // Both are the first track of their file.
    const rows = page.locator("#tracks .row-button");
    for (const [index, name] of names.entries()) {
        await rows.nth(index).click();
        const pressed = await rows.evaluateAll((buttons) => buttons.map((button) => button.getAttribute("aria-pressed") === "true"));
        equal(pressed, names.map((other) => other === name), "selected");
        equal(await page.locator("#profile-title").textContent(), `Profile: ${name}`, "profile");
    }
    const keys = await page.locator("#tracks .key").evaluateAll((marks) => marks.map((mark) => mark.className));
    equal(new Set(keys).size, 2, "colours");
    const texts = await page.locator("#errors li").allTextContents();
    for (const part of ["members.zip/empty.csv: the file is empty", "members.zip/notes.txt: skipped", "members.zip/second.csv: 2 invalid times"]) {
        check(texts.some((text) => text.startsWith(part)), `${part}: ${texts.join("\n")}`);
    }
    check(texts.some((text) => text.endsWith("The page does not have --time-format: measure the file with the command line.")), texts.join("\n"));
    await closePage(page);
    await stop(server);
}

/** The labels of a vertical axis do not touch, differ, and are not cut off. */
export async function theLabelsOfAVerticalAxisDiffer(server) {
    const page = await openPage(server);
    for (const [low, high] of [[270, 270.5], [543, 557], [0, 8], [100, 2050], [-420, -400]]) {
        const rows = [0, 1, 2, 3].map((index) => `13,${46 + index * 0.1 * (high > 1000 ? 300 : 1) / 300},${index % 2 ? high : low},2024-01-01T00:00:0${index}Z`);
        await open(page, scratchFile("rows.csv", `lon,lat,ele,time\n${rows.join("\n")}\n`));
        const faults = await page.evaluate(() => {
            const picture = document.querySelector("#profile svg");
            const left = picture.getBoundingClientRect().left;
            const texts = [...picture.querySelectorAll(".tick")].filter((text) => text.getAttribute("text-anchor") === "end");
            const list = texts.map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() })).toSorted((a, b) => a.box.top - b.box.top);
            const touching = list.filter(({ box, text }, index) => index > 0 && (box.top < list[index - 1].box.top + 11 || text === list[index - 1].text));
            return list.length < 3 ? ["few labels"] : [...touching, ...list.filter(({ box }) => box.left < left - 1)].map(({ text }) => text);
        });
        equal(faults, [], `labels from ${low} to ${high} m`);
    }
    await closePage(page);
}

/** No two labels of an axis touch, and none is cut off. */
export async function theLabelsOfAnAxisDoNotTouch(server) {
    const page = await openPage(server);
    for (const length of [9.99, 28.6, 30.2, 104]) {
        const rows = Array.from({ length: 200 }, (_, index) => {
            const time = new Date(Date.UTC(2024, 0, 1) + index * length * 1e6).toISOString();
            return `13,${(46 + (index / 199) * (length / 111.2)).toFixed(6)},${index},${time}`;
        });
        await open(page, scratchFile("axis.csv", `lon,lat,ele,time\n${rows.join("\n")}\n`));
        for (const axis of ["distance", "time"]) {
            await page.locator(`#profile-axis input[value=${axis}]`).check({ force: true });
            for (const width of [360, 390, 480, 700, 900, 1024, 1150, 1300, 1440]) {
                await page.setViewportSize({ width, height: 800 });
                // The observer of the size draws after the layout.
                await page.waitForFunction((wanted) => {
                    const { profile } = window.waywiser.measure;
                    return innerWidth === wanted && profile.width === profile.plot.clientWidth;
                }, width);
                const faults = await page.evaluate(() => {
                    const picture = document.querySelector("#profile svg");
                    const frame = picture.getBoundingClientRect();
                    const texts = [...picture.querySelectorAll(".tick")].filter((text) => text.getAttribute("text-anchor") === "middle");
                    const boxes = texts.map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }));
                    const list = boxes.toSorted((a, b) => a.box.left - b.box.left);
                    const touching = list.filter(({ box }, index) => index > 0 && box.left < list[index - 1].box.right + 4);
                    const cut = list.filter(({ box }) => box.left < frame.left - 1 || box.right > frame.right + 1);
                    return list.length < 2 ? ["few labels"] : [...touching, ...cut].map(({ text }) => text);
                });
                equal(faults, [], `labels of ${length} km by ${axis} at ${width} pixels`);
            }
        }
    }
    await closePage(page);
}
