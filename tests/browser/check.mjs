// Runs the tests of the page, or those whose names contain an argument.
//
// usage: node check.mjs [--minutes N] [NAME]...
import * as frames from "./frames.mjs";
import { finish, scratch, startServer, stop } from "./harness.mjs";
import * as live from "./live.mjs";
import * as looks from "./looks.mjs";
import * as measure from "./measure.mjs";
import * as phone from "./phone.mjs";
import * as report from "./report.mjs";

const names = process.argv.slice(2);
let minutes = 0;
if (names[0] === "--minutes") {
    minutes = Number(names[1]);
    names.splice(0, 2);
}

let failed = 0;
const server = await startServer(["--data-dir", `${scratch}/data`]);
for (const [group, tests] of Object.entries({ measure, phone, live, report, looks, frames })) {
    for (const [name, test] of Object.entries(tests)) {
        const title = `${group}: ${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)}`;
        if (names.length > 0 && !names.some((wanted) => title.includes(wanted))) {
            continue;
        }
        console.log(title);
        try {
            await test(server, { minutes });
        } catch (error) {
            failed += 1;
            console.log(`FAILED: ${title}\n${error.stack}`);
        }
    }
}
await stop(server);
await finish();
console.log(failed === 0 ? "all tests of the page have passed" : `${failed} tests of the page have failed`);
process.exit(failed === 0 ? 0 : 1);
