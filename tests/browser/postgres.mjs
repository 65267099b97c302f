// Runs PostgreSQL, with its files and its socket in a temporary folder.
import { spawn, spawnSync } from "node:child_process";
import { chownSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { check, ended, until } from "./harness.mjs";

const VERSIONS = "/usr/lib/postgresql";

function newestPrograms() {
    try {
        const newest = readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a))[0];
        return path.join(VERSIONS, newest, "bin");
    } catch {
        return null;
    }
}

/** PostgreSQL refuses to run as root, so that the user postgres runs it then. */
function user() {
    if (process.getuid() !== 0) {
        return {};
    }
    const id = (flag) => Number(spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout);
    return { uid: id("-u"), gid: id("-g") };
}

/** Starts a database without a password. Returns its URL and a function that stops it, or null if PostgreSQL is not installed. */
export async function startPostgres() {
    const programs = newestPrograms();
    if (programs === null) {
        return null;
    }
    const folder = mkdtempSync(path.join(tmpdir(), "waywiser-postgres-"));
    const owner = user();
    if (owner.uid !== undefined) {
        chownSync(folder, owner.uid, owner.gid);
    }
    const options = { cwd: folder, encoding: "utf8", ...owner };
    const data = path.join(folder, "main");
    const made = spawnSync(path.join(programs, "initdb"), ["-U", "waywiser", "--auth=trust", "--no-sync", "-E", "UTF8", "-D", data], options);
    check(made.status === 0, `initdb: ${made.stderr}`);
    // Another program could take a port between the choice of it and its use.
    const settings = ["listen_addresses=", `unix_socket_directories=${folder}`].flatMap((setting) => ["-c", setting]);
    const child = spawn(path.join(programs, "postgres"), ["-D", data, ...settings], { ...options, stdio: ["ignore", "ignore", "pipe"] });
    let log = "";
    child.stderr.on("data", (text) => (log += text));
    await until("PostgreSQL is ready", () => {
        check(child.exitCode === null, `PostgreSQL has ended: ${log}`);
        return spawnSync(path.join(programs, "pg_isready"), ["-q", "-h", folder], options).status === 0;
    });
    const stop = async () => {
        // A fast shutdown, which ends the connections.
        child.kill("SIGINT");
        await ended(child);
        rmSync(folder, { recursive: true, force: true });
    };
    return { url: `postgres://waywiser@${encodeURIComponent(folder)}/postgres`, stop };
}
