// The view that sets up a phone.
import { check, closePage, equal, openPage } from "./harness.mjs";

export async function everyAppHasItsSettings(server) {
    const page = await openPage(server, "phone");
    const choices = page.locator("#phone-apps input");
    check((await choices.count()) >= 6, "apps are missing");
    check((await page.locator("#phone-warnings").textContent()).includes("this machine only"), "no warning about the address");
    await page.fill("#phone-address", "https://paths.example.org/way");
    await page.fill("#phone-token", "se/cret");
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
            const token = query.has("inline") ? JSON.parse(text).password : query.get("token");
            equal(token, "se/cret", `token in ${href}`);
        } else {
            const settings = await page.locator("#phone-settings code").allTextContents();
            const isInAddress = url.pathname.split("/").at(-1) === "se%2Fcret";
            check(isInAddress || settings.some((text) => /(^|Bearer )se\/cret$/.test(text)), `no token in ${settings}`);
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
    equal(
        await page.evaluate(() => navigator.clipboard.readText()),
        await page.locator("#phone-settings code").first().textContent(),
        "copied text",
    );
    await closePage(page);
}
