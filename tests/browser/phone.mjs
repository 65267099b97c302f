// The view that sets up a phone.
import path from "node:path";
import { check, closePage, equal, openPage, run, scratch, startServer, stop, until } from "./harness.mjs";
import { PHONE_APPS, fixes } from "./phone_apps.mjs";

export async function everyAppHasItsSettings(server) {
    const page = await openPage(server, "phone");
    const choices = page.locator("#phone-apps input");
    check((await choices.count()) >= 6, "apps are missing");
    check((await page.locator("#phone-warnings").textContent()).includes("Only this machine can reach"), "no warning about the address");
    await page.fill("#phone-address", "https://paths.example.org/way");
    // A token can have each of these characters, and a segment of an address cannot have the slash.
    const token = "se/cr+et~1==";
    await page.fill("#phone-token", token);
    await page.fill("#phone-device", "my phone");
    check((await page.locator("#phone-warnings").textContent()) === "", "a warning without a reason");
    await page.fill("#phone-device", "Gašper");
    check((await page.locator("#phone-warnings").textContent()).includes("header"), "no warning about a name that a header cannot have");
    await page.fill("#phone-device", "my phone");
    let codes = 0;
    for (let index = 0; index < (await choices.count()); index += 1) {
        await choices.nth(index).check();
        const address = await page.locator("#phone-settings code").first().textContent();
        const url = new URL(address.replace("{0}", "1"));
        check(url.href.startsWith("https://paths.example.org/way/ingest/"), address);
        const link = page.locator("#phone-link");
        if (await link.isVisible()) {
            const href = await link.getAttribute("href");
            const query = new URL(href).searchParams;
            const text = query.has("inline") ? atob(query.get("inline")) : query.toString();
            equal(query.has("inline") ? JSON.parse(text).password : query.get("token"), token, `token in ${href}`);
        } else {
            const settings = await page.locator("#phone-settings code").allTextContents();
            const isInAddress = url.pathname.split("/").at(-1) === "se%2Fcr%2Bet~1%3D%3D";
            check(isInAddress || settings.some((text) => [token, `Authorization: Bearer ${token}`].includes(text)), `no token in ${settings}`);
        }
        const code = page.locator("#phone-code");
        if (await code.evaluate((place) => !place.hidden)) {
            const image = code.locator("img");
            await image.waitFor();
            check(await image.evaluate((picture) => picture.decode().then(() => picture.naturalWidth > 0)), "the code is not a picture");
            codes += 1;
        }
    }
    check(codes >= 2, `${codes} apps have a QR code`);
    await page.locator("#phone-settings button").first().click();
    const copied = await page.locator("#phone-settings code").first().textContent();
    // The browser copies after the click.
    await until("the text is copied", async () => (await page.evaluate(() => navigator.clipboard.readText())) === copied);
    await closePage(page);
}

/** Each setting that the server would refuse has a warning. */
export async function settingsThatCannotWorkHaveWarnings(server) {
    const page = await openPage(server, "phone");
    page.expected.push(/Failed to load resource/);
    await page.evaluate(() => sessionStorage.setItem("waywiser-token", "a-token-of-a-server-with-tokens"));
    const shown = async () => page.locator("#phone-warnings").textContent();
    await page.fill("#phone-address", "https://paths.example.org/");
    check((await shown()).includes("requires a token"), "no warning about a missing token");
    await page.fill("#phone-token", "short");
    check((await shown()).includes("too short"), "no warning about a short token");
    await page.fill("#phone-token", "0123456789abcde\u0142f");
    check((await shown()).includes("not allowed"), "no warning about the characters of a token");
    await page.fill("#phone-token", "0123456789abcdef0123456789abcdef");
    equal(await shown(), "", "warnings");
    for (const address of ["", "paths.example.org", "https://"]) {
        await page.fill("#phone-address", address);
        check((await shown()).includes("not complete"), `no warning about the address "${address}"`);
    }
    await page.fill("#phone-address", "https://paths.example.org/");
    // OwnTracks sends the name as the user and as the device, with a slash between them.
    await page.fill("#phone-device", "a".repeat(62));
    equal(await shown(), "", "warnings");
    equal(await page.locator("#phone-recording").textContent(), `The list of recordings shows the phone as ${"a".repeat(62)}/${"a".repeat(62)}.`, "recording");
    await page.fill("#phone-device", "a".repeat(63));
    check((await shown()).includes("twice"), "no warning about a name that is sent twice");
    await page.check("#phone-apps input[value=overland]", { force: true });
    equal(await shown(), "", "warnings");
    check(!(await page.locator("#phone-recording").isVisible()), "the recording of another app is visible");
    await page.fill("#phone-device", "\u010d".repeat(22));
    check((await shown()).includes("too long"), "no warning about a long name");
    await closePage(page);
}

/** Returns the settings that the page shows for the chosen app, by their labels. */
async function shownSettings(page) {
    const labels = await page.locator("#phone-settings dt").allTextContents();
    const values = await page.locator("#phone-settings code").allTextContents();
    equal(values.length, labels.length, "settings");
    return Object.fromEntries(labels.map((label, index) => [label, values[index]]));
}

/** Each app sends what the page shows, and its recording appears in the list. */
export async function theSettingsOfEachAppWork() {
    const tokens = path.join(scratch, "phones.toml");
    const token = run(["token", "new", "--name", "phones", "--append", tokens]).split("\n")[0];
    const viewer = run(["token", "new", "--name", "viewer", "--append", tokens]).split("\n")[0];
    const server = await startServer(["--ephemeral", "--tokens", tokens]);
    const page = await openPage(server, "phone", { expected: [/Failed to load resource.*401/] });
    const texts = [];
    page.on("request", (request) => {
        if (request.url().endsWith("api/qr")) {
            texts.push(request.postData());
        }
    });
    // The token of the page, which is not that of the phone.
    await page.click("#token-state");
    await page.fill("#token", viewer);
    await page.keyboard.press("Enter");
    const choices = page.locator("#phone-apps input");
    const apps = await choices.evaluateAll((inputs) => inputs.map(({ value }) => value));
    equal(apps.toSorted(), Object.keys(PHONE_APPS).toSorted(), "apps");
    await page.fill("#phone-token", token);
    const expected = [];
    for (const [index, id] of apps.entries()) {
        const app = PHONE_APPS[id];
        await choices.nth(index).check();
        for (const way of ["typed", "scanned"]) {
            // Characters that links, addresses, credentials and names of recordings escape. OwnTracks sends the name in headers.
            const device = `${id} ${way} 'a':b+c&d${id === "owntracks" ? "" : " \u20acC"}`;
            // The page requests the code of the settings before a moment after them.
            await page.waitForFunction(
                () => {
                    const place = document.getElementById("phone-code");
                    return place.hidden || place.childElementCount > 0;
                },
                null,
                { timeout: 0 },
            );
            texts.length = 0;
            await page.fill("#phone-device", device);
            let read;
            if (way === "typed") {
                read = app.typed(await shownSettings(page));
            } else if (app.scanned) {
                read = app.scanned(await until(`the code of ${id}`, () => texts.at(-1)));
            } else {
                continue;
            }
            for (const fix of fixes(4)) {
                const answer = await app.send(fix, read);
                check(app.isSuccess(answer), `${id}, ${way}: ${JSON.stringify(answer)}`);
            }
            const escaped = Buffer.from(device, "utf8").toString("latin1").replace(/[^\w.-]/g, (letter) => `~${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
            expected.push(app.recording(escaped));
        }
    }
    await page.click("nav a[href='#live']");
    for (const name of expected) {
        const row = page.locator(`#recordings li[data-name="paths/${name}"]`);
        await until(`${name} is listed`, () => row.count());
        // Three legs of 0.001° of latitude, 111.15 m each.
        equal(await row.locator(".length").textContent(), "333\u00a0m", `length of ${name}`);
    }
    equal(await page.locator("#recordings li").count(), expected.length, "recordings");
    await closePage(page);
    await stop(server);
}
