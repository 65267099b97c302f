"""Runs a cluster and checks it from outside. `run` prepares the environment.

usage: check.py FOLDER [CHECK]...
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import traceback

from clients import documented_block
from programs import PASSWORD, WRONG_PASSWORD, HAProxy, Postgres, Server, program

import appends
import availability
import damage
import databases
import page
import recordings
import recovery
import stores
import tls


class Cluster:
    """A database, two servers and HAProxy."""

    def __init__(self, folder, *arguments):
        """Prepares the files and starts the database. The arguments are those of the servers."""
        self.folder = folder
        self.record_py = folder / "record.py"
        self.record_py.write_text(documented_block("deploy/README.md", "tests/cluster/run executes this program as record.py"))
        self.password_file = folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        self.password_file.chmod(0o600)
        self.postgres = Postgres(folder / "postgres")
        self.postgres.run()
        self.postgres.sql(f"CREATE ROLE waywiser LOGIN PASSWORD '{PASSWORD}'")
        self.postgres.create_database("waywiser")
        self.password_arguments = ["--store-password-file", str(self.password_file)]
        self.store_arguments = ["--store", self.postgres.url(), *self.password_arguments]
        # Everything that programs print, for the search for passwords.
        self.printed = []
        self.secrets = [PASSWORD, WRONG_PASSWORD]
        arguments = [*self.store_arguments, *arguments]
        self.servers = [Server(folder, f"server-{number}", arguments) for number in (1, 2)]
        self.haproxy = HAProxy(folder, self.servers)
        self.others = []

    def another(self, name, *arguments):
        """Returns another cluster, with a database of its own, whose processes end with those of this one."""
        folder = self.folder / name
        folder.mkdir()
        other = Cluster(folder, *arguments)
        other.printed = self.printed
        self.others.append(other)
        return other

    def program(self, *arguments, **options):
        """Runs waywiser to its end, and keeps what it prints."""
        result = program(*arguments, **options)
        self.printed += result[1:]
        return result

    def serve_to_its_end(self, *arguments, environment=None):
        """Runs a server that must refuse to start. Returns its message."""
        run = ["serve", "--listen", "127.0.0.1:0", *arguments]
        status, out, errors = self.program(*run, environment=environment, check=False)
        assert (status, out) == (1, ""), (status, out, errors)
        return errors

    def run(self):
        for server in self.servers:
            server.run()
        self.haproxy.run()
        for server in self.servers:
            server.wait_until_ready()

    def is_up(self, server):
        """Returns whether HAProxy uses a server."""
        return self.haproxy.is_up(self.servers.index(server))

    def is_down(self, server):
        """Returns whether HAProxy does not use a server, because its health checks fail."""
        return self.haproxy.is_down(self.servers.index(server))

    def stop(self):
        for other in self.others:
            other.stop()
        for process in [self.haproxy, *self.servers, self.postgres]:
            process.stop()


# In their order: the first ones need a database without tables.
CHECKS = [
    databases.an_unusable_database_is_refused,
    databases.a_password_comes_from_each_source,
    databases.a_database_without_tables_is_migrated_on_request,
    databases.servers_that_start_at_once_migrate_a_database_once,
    recordings.recordings_survive_killed_servers,
    appends.requests_survive_killed_servers,
    recordings.recordings_survive_a_restart_of_all_servers,
    recordings.a_watch_sees_the_commits_of_other_servers,
    page.the_page_of_each_server_shows_the_recordings_of_all,
    stores.people_and_dashboards_read_the_view,
    stores.a_copy_has_the_same_bytes_in_all_directions,
    stores.a_copy_is_complete_or_nothing_is_copied,
    stores.a_backup_is_restored_to_a_database,
    damage.a_damaged_recording_is_lost_alone,
    availability.a_stream_of_a_paused_server_continues_at_another,
    tls.the_lines_for_tls_encrypt_and_verify,
    availability.an_outage_of_the_database_delays_and_loses_nothing,
    availability.a_crash_of_the_database_loses_nothing,
    databases.a_new_password_is_used_without_a_restart,
    availability.a_server_starts_before_its_database,
    recovery.a_documented_recovery_returns_to_a_moment,
    databases.no_password_is_printed,
]
# The number of checks that all others need.
PREPARING = 3


def main(folder, names):
    known = {check.__name__: check for check in CHECKS}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"there is no check {unknown[0]}; the checks are:\n  " + "\n  ".join(known))
    cluster = Cluster(folder)
    version = subprocess.run([f"{cluster.postgres.bin}/postgres", "--version"], capture_output=True, text=True)
    print(version.stdout.strip(), flush=True)
    status = 0
    try:
        for check in CHECKS:
            # The first checks prepare the database, and start the servers.
            if names and check.__name__ not in names and check not in CHECKS[:PREPARING]:
                continue
            report = check(cluster)
            print(f"ok: {check.__name__.replace('_', ' ')}" + (f" ({report})" if report else ""), flush=True)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        for log in sorted(folder.rglob("*.log")):
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
            print(f"== the end of {log.name}\n{tail}", file=sys.stderr)
        if logs := os.environ.get("CLUSTER_LOGS"):
            shutil.copytree(folder, logs, ignore=lambda _, names: [n for n in names if not re.search(r"\.log$", n)])
        status = 1
    finally:
        cluster.stop()
    if status == 0:
        print("cluster: all checks passed")
    sys.exit(status)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
