"""Point-in-time recovery by the commands of docs/postgres.md, and what clients see afterwards."""

import os
import signal
import subprocess

from clients import Client, Live, bits, documented_block, program_recorder, python_recorder
from programs import Postgres, program, wait_until
from recordings import counts_of

# The paths and the name of the service of Debian, which the commands have.
DEBIAN_DATA = "/var/lib/postgresql/15"
TARGET = "2026-11-27 12:00:00+00"

# The commands of an administrator. This test runs PostgreSQL, so the commands that start and stop the service call the test.
COMMANDS = """
set -euo pipefail
systemctl() {
    echo "$*" >&"$REQUESTS"
    read -r _ <&"$ANSWERS"
}
sudo() {
    [ "$1 $2" = "-u postgres" ]
    shift 2
    if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi
}
if [ "$(id -u)" -ne 0 ]; then
    chown() { :; }
    install() { mkdir "${@: -2}"; }
fi
"""


class Administrator:
    """Runs documented commands as an administrator of the machine of a database."""

    def __init__(self, postgres):
        self.postgres = postgres
        self.replaced = {
            DEBIAN_DATA: postgres.folder,
            "/srv/wal": postgres.folder / "wal",
            "/srv/base": postgres.folder / "base",
        }

    def run(self, commands):
        """Runs commands, with the files of the test. Returns what they print."""
        for path, own in self.replaced.items():
            commands = commands.replace(path, str(own))
        requests_read, requests = os.pipe()
        answers, answers_write = os.pipe()
        environment = {
            **os.environ,
            "PATH": f"{self.postgres.bin}:{os.environ['PATH']}",
            "PGHOST": str(self.postgres.folder),
            "PGPORT": str(self.postgres.port),
            "PGUSER": "postgres",
            "REQUESTS": str(requests),
            "ANSWERS": str(answers),
        }
        with open(self.postgres.folder.parent / "administrator.log", "a+") as printed:
            start = printed.seek(0, os.SEEK_END)
            shell = subprocess.Popen(
                ["bash", "-c", COMMANDS + commands],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                cwd="/",
                env=environment,
                pass_fds=[requests, answers],
            )
            os.close(requests)
            os.close(answers)
            with open(requests_read) as lines, open(answers_write, "w") as replies:
                for line in lines:
                    self.service(*line.split())
                    print("done", file=replies, flush=True)
            status = shell.wait()
            printed.seek(start)
            text = printed.read()
        assert status == 0, f"{commands}: status {status}: {text}"
        return text

    def service(self, action, name):
        assert name == "postgresql", name
        if action in ("stop", "restart"):
            self.postgres.stop()
        if action in ("start", "restart"):
            self.postgres.run()


def points_of(address, name, numbers, **options):
    """Records points, which are durable afterwards."""
    live = Live(Client(address), name)
    live.send(numbers, **options)
    live.close()
    return live.reply.result(timeout=60)


def a_documented_recovery_returns_to_a_moment(parent):
    """Makes a base backup, recovers to a moment, and compares what clients see with what the document says."""
    cluster = parent.another("recovery", "--drain-timeout", "1s")
    postgres, administrator = cluster.postgres, Administrator(cluster.postgres)
    cluster.program("store", "migrate", *cluster.store_arguments)
    cluster.run()
    one, two = (server.address for server in cluster.servers)
    direct = Client(two)
    points_of(one, "paths/before-backup", range(500), finish_write=True)
    opened = [server.metric("waywiser_database_connections_total") for server in cluster.servers]
    administrator.run(documented_block("docs/postgres.md", "cluster: prepare a recovery"))
    # The commands have restarted PostgreSQL, so that each server opens its two connections again.
    for server, before in zip(cluster.servers, opened):
        total = "waywiser_database_connections_total"
        wait_until(lambda: server.metric(total) >= before + 2, "the new connections")
        server.wait_for_database()

    # Until the moment of the recovery.
    points_of(one, "paths/deleted-later", range(300), finish_write=True)
    recorders = {
        "paths/idle-python": python_recorder,
        "paths/idle-program": program_recorder,
        "paths/ahead-python": python_recorder,
        "paths/ahead-program": program_recorder,
    }
    recorders = {name: make(cluster, cluster.haproxy.address, name) for name, make in recorders.items()}
    for name, recorder in recorders.items():
        recorder.send(range(1000))
        wait_until(lambda: counts_of(direct, name) == 1000, "a commit")
    [moment] = postgres.sql("SELECT clock_timestamp()")

    # These commits are lost.
    new = {"paths/new-python": python_recorder, "paths/new-program": program_recorder}
    new = {name: make(cluster, cluster.haproxy.address, name) for name, make in new.items()}
    ahead = {name: recorder for name, recorder in recorders.items() if "ahead" in name}
    for name, recorder in new.items():
        recorder.send(range(2000))
    for name, recorder in ahead.items():
        recorder.send(range(1000, 2000))
    for name in [*new, *ahead]:
        wait_until(lambda: counts_of(direct, name) == 2000, "a commit")
    program("paths", "delete", "--server", f"http://{one}", "paths/deleted-later")
    assert counts_of(direct, "paths/deleted-later") == 0
    make_clients_connect_again(cluster, len(recorders) + len(new))

    for server in cluster.servers:
        assert server.stop(signal.SIGTERM) == 0
    recover = documented_block("docs/postgres.md", "cluster: recover")
    assert recover.count(TARGET) == 1, recover
    administrator.run(recover.replace(TARGET, moment))
    wait_until(lambda: postgres.sql("SELECT pg_is_in_recovery()") == ["f"], "the end of the recovery")
    administrator.run(documented_block("docs/postgres.md", "cluster: end the recovery"))
    follow_with_a_standby(cluster)
    _, _, printed = cluster.program("store", "check", *cluster.store_arguments)
    assert "has 6 recordings, all of them valid" in printed, printed

    for server in cluster.servers:
        server.run()
        server.wait_until_ready()
    restored = direct.get("paths/deleted-later")
    assert (restored.committed_points, restored.complete) == (300, True), restored
    clients_without_lost_points_continue(direct, recorders)
    clients_ahead_of_the_database_fail(cluster, direct, {name: (recorder, 1000) for name, recorder in ahead.items()})
    clients_ahead_of_the_database_fail(cluster, direct, {name: (recorder, 0) for name, recorder in new.items()})
    archive_continues(postgres)
    return f"recovered to {moment}"


def make_clients_connect_again(cluster, count):
    """Restarts the servers. Clients that connect again ask for the number of durable points, so they know it then."""
    for server in cluster.servers:
        assert server.stop(signal.SIGTERM) == 0
        server.run()
        server.wait_until_ready()
    streams = 'waywiser_calls_open{grpc_method="waywiser.v1.PathService/RecordPath"}'
    wait_until(lambda: sum(server.metric(streams) for server in cluster.servers) == count, "the streams of all clients")


def follow_with_a_standby(cluster):
    """Makes a standby of the recovered database. It follows, and does not stop at the moment of the recovery."""
    standby = Postgres(cluster.folder / "standby", cluster.postgres)
    standby.run()
    try:
        cluster.postgres.sql("CREATE TABLE after_the_recovery AS SELECT 1 AS n; DROP TABLE after_the_recovery")
        [end] = cluster.postgres.sql("SELECT pg_current_wal_lsn()")

        def follows():
            assert standby.sql("SELECT pg_is_in_recovery()") == ["t"], "the standby has promoted itself"
            return standby.sql(f"SELECT pg_last_wal_replay_lsn() >= '{end}'") == ["t"]

        wait_until(follows, "that the standby follows")
    finally:
        standby.stop()


def clients_without_lost_points_continue(direct, recorders):
    """Sends the rest of the recordings whose durable points are those of the moment."""
    expected = direct.measure(range(2000))
    for name in "paths/idle-python", "paths/idle-program":
        recorders[name].send(range(1000, 2000))
        printed = recorders[name].finish()
        path = direct.get(name)
        assert (path.committed_points, path.complete) == (2000, True), path
        assert path.summary.length_m == expected.length_m, path
        if "python" in name:
            assert printed == f"2000 points, {expected.length_m!r} m\n", printed
            assert bits(path.summary) == bits(expected), path


def clients_ahead_of_the_database_fail(cluster, direct, recorders):
    """Checks the errors of clients whose durable points are lost, and records their paths again."""
    for name, (recorder, restored) in recorders.items():
        errors = recorder.fail()
        assert f"the server has {restored} points" in errors and "2000" in errors, errors
        assert counts_of(direct, name) == restored
        # The same path from its start.
        again = (python_recorder if "python" in name else program_recorder)(cluster, cluster.haproxy.address, name)
        again.send(range(2500))
        again.finish()
        path = direct.get(name)
        assert (path.committed_points, path.complete) == (2500, True), path
        assert path.summary.length_m == direct.measure(range(2500)).length_m, path


def archive_continues(postgres):
    """Waits until a file of the new timeline is in the archive."""
    [file] = postgres.sql("SELECT pg_walfile_name(pg_switch_wal())")
    assert file.startswith("00000002"), file
    wait_until(lambda: (postgres.folder / "wal" / file).exists(), f"{file} in the archive")
