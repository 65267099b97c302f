// Makes src/http/page/land.js, the outline of the land on the map.
//
// usage: node make_land.mjs OUTPUT, with the packages of package.json in NODE_PATH or a parent folder
//
// Source: the file land-110m.json of the npm package world-atlas 2.0.2 (ISC), which is Natural Earth 1:110m land, version
// 4.1.0, public domain (https://www.naturalearthdata.com/). The coordinates are rounded to 0.01 degrees. Each ring is an
// encoded polyline of longitudes and latitudes; rings are separated by a space.
// Longitudes are continued across the antimeridian, so that they may be outside -180 to 180.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.BROWSER_PACKAGES ?? import.meta.dirname}/`);
const topojson = require("topojson-client");
const world = require("world-atlas/land-110m.json");

/** Encodes a difference as characters from "?" to "~". */
function encode(value) {
    let bits = value < 0 ? ~(value << 1) : value << 1;
    let text = "";
    while (bits >= 0x20) {
        text += String.fromCharCode((0x20 | (bits & 0x1f)) + 63);
        bits >>= 5;
    }
    return text + String.fromCharCode(bits + 63);
}

/** Continues the longitudes of a ring across the antimeridian. The ring around the south pole ends there. */
function unwrap(ring) {
    let turns = 0;
    const made = ring.map(([x, y], index) => {
        const step = index > 0 ? x - ring[index - 1][0] : 0;
        turns += step > 180 ? -360 : step < -180 ? 360 : 0;
        return [x + turns, y];
    });
    if (turns !== 0) {
        made.push([made.at(-1)[0], -90], [made[0][0], -90], made[0]);
    }
    return made;
}

const rings = [];
for (const { geometry } of topojson.feature(world, world.objects.land).features) {
    for (const polygon of geometry.coordinates) {
        for (const ring of polygon) {
            let [x, y] = [0, 0];
            let text = "";
            for (const position of unwrap(ring)) {
                const [nextX, nextY] = position.map((degrees) => Math.round(degrees * 100));
                text += encode(nextX - x) + encode(nextY - y);
                [x, y] = [nextX, nextY];
            }
            rings.push(text);
        }
    }
}
writeFileSync(
    process.argv[2],
    `// The outline of the land: Natural Earth 1:110m, public domain. Made by tests/browser/make_land.mjs.

/** Encoded polylines of longitudes and latitudes in units of 0.01 degrees, separated by spaces. */
export const LAND = ${JSON.stringify(rings.join(" "))};
`,
);
