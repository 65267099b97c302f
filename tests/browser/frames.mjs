// The cost of a frame with many points.
import { check, closePage, drawn, openPage, scratchFile } from "./harness.mjs";

/** The limit of vertices of a frame while the map moves, in src/http/page/map.js. */
const MOVING_VERTICES_MAX = 12000;
const FRAMES = 90;
const ROUNDS = 5;

/** Makes a file of random walks. */
function walks(name, tracks, points) {
    let seed = 7;
    const random = () => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        return seed / 2 ** 32 - 0.5;
    };
    const rows = ["track,lon,lat"];
    for (let track = 0; track < tracks; track += 1) {
        let [lon, lat] = [10 + random() * 4, 47 + random() * 2];
        for (let point = 0; point < points; point += 1) {
            [lon, lat] = [lon + random() * 0.02, lat + random() * 0.015];
            rows.push(`t${track},${lon.toFixed(5)},${lat.toFixed(5)}`);
        }
    }
    return scratchFile(name, rows.join("\n"));
}

/**
 * Pans the map several times over the same places, and returns the times of drawing and the largest number of vertices. The time of
 * a frame is the least of all rounds, because other programs can only make it longer.
 */
async function pan(page) {
    return page.evaluate(async ([count, rounds]) => {
        const { map } = window.waywiser.measure;
        const start = { ...map.view };
        const drawing = Array(count).fill(Infinity);
        const intervals = [];
        let [most, before] = [0, performance.now()];
        for (let round = 0; round < rounds; round += 1) {
            map.view = { ...start };
            for (let frame = 0; frame < count; frame += 1) {
                map.panBy(frame < count / 2 ? 6 : -6, frame % 3);
                if (frame % 15 === 14) {
                    map.zoomBy(frame % 30 === 14 ? 1.6 : 1 / 1.6);
                }
                await new Promise((resolve) => requestAnimationFrame(resolve));
                const now = performance.now();
                intervals.push(now - before);
                before = now;
                drawing[frame] = Math.min(drawing[frame], map.frames.milliseconds.at(-1));
                most = Math.max(most, map.frames.vertices);
            }
        }
        const middle = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
        const points = map.lines.reduce((sum, { vertices }) => sum + vertices.xs.length, 0);
        return { drawing: middle(drawing), interval: middle(intervals), most, points };
    }, [FRAMES, ROUNDS]);
}

export async function aHundredThousandPoints(server) {
    const page = await openPage(server);
    const results = [];
    for (const [tracks, points] of [[10, 1000], [101, 1000]]) {
        const file = walks(`walks-${tracks}.csv`, tracks, points);
        const before = await page.evaluate(() => window.waywiser.measure.answers);
        await page.setInputFiles("#file", file);
        await page.waitForFunction((count) => window.waywiser.measure.answers > count, before, { timeout: 0 });
        await drawn(page, "measure");
        const result = await pan(page);
        console.log(
            `    ${result.points} points: ${result.drawing.toFixed(2)} ms of drawing and ${result.interval.toFixed(1)} ms between ` +
                `frames in the median, at most ${result.most} vertices in a frame`,
        );
        results.push(result);
    }
    const [few, many] = results;
    check(many.points >= 100000, `the map has only ${many.points} points`);
    check(many.most <= MOVING_VERTICES_MAX, `a frame has ${many.most} vertices`);
    // Ten times as many points may cost a few times as much, because the vertices of a frame are limited.
    check(many.drawing < few.drawing * 6 + 1, `a frame with ten times as many points takes ${(many.drawing / few.drawing).toFixed(1)} times as long`);
    await closePage(page);
}
