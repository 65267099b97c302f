"""Runs PostgreSQL, waywiser and HAProxy, with files and ports of their own."""

import contextlib
import glob
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WAYWISER = os.environ["WAYWISER"]
PASSWORD = "correct-horse-battery"
WRONG_PASSWORD = "incorrect-horse-battery"
# How long the test waits for an event that must come. It never decides whether a result is right.
WAIT_S = 120


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def wait_until(condition, what):
    """Waits until a condition is true, and returns its value."""
    deadline = time.monotonic() + WAIT_S
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not happen in {WAIT_S} s"
        time.sleep(0.05)


class Process:
    """A process in the foreground, in a session of its own. Its output goes to a file."""

    def __init__(self, log):
        self.log = log
        self.process = None

    def start(self, command, **options):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """Ends the process without any preparation."""
        if self.is_running():
            self.process.kill()
            self.process.wait()

    def stop(self, number=signal.SIGTERM):
        if self.is_running():
            self.process.send_signal(number)
            try:
                return self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


class Postgres(Process):
    """A database cluster. The superuser connects by a socket, and the others by a password."""

    def __init__(self, folder):
        super().__init__(folder.parent / f"{folder.name}.log")
        self.folder = folder
        self.port = free_port()
        # The newest version that is installed.
        versions = glob.glob("/usr/lib/postgresql/*/bin")
        self.bin = max(versions, key=lambda path: float(path.split("/")[-2]))
        self.user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        folder.mkdir()
        if self.user:
            shutil.chown(folder, "postgres", "postgres")
        command = [f"{self.bin}/initdb", "-D", folder / "data", "-U", "postgres", "--no-sync", "-E", "UTF8"]
        command += ["--auth-local=trust", "--auth-host=scram-sha-256"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **self.user)

    def run(self):
        def attempt():
            if not self.is_running():
                # The processes of a server that was killed end a little later.
                options = ["-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1"]
                options += ["-c", f"unix_socket_directories={self.folder}"]
                command = [f"{self.bin}/postgres", "-D", self.folder / "data", *options]
                self.start(command, cwd=self.folder, **self.user)
            ready = [f"{self.bin}/pg_isready", "-q", "-h", self.folder, "-p", str(self.port)]
            return subprocess.run(ready).returncode == 0

        wait_until(attempt, "the start of PostgreSQL")

    def stop(self, number=signal.SIGINT):
        # SIGINT is a fast shutdown, which ends the connections.
        super().stop(number)

    def sql(self, text, database="postgres", user="postgres"):
        """Runs statements. Returns the rows of the last one, with columns separated by tabs."""
        command = ["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", self.folder]
        command += ["-p", str(self.port), "-U", user, "-d", database]
        run = subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True)
        assert run.returncode == 0, f"{text}: {run.stderr}"
        return run.stdout.splitlines()

    @contextlib.contextmanager
    def running_sql(self, text, database):
        """Runs a statement that does not end by itself, until the end of the block."""
        command = ["psql", "-X", "-q", "-h", self.folder, "-p", self.port, "-U", "postgres", "-d", database, "-c", text]
        # The commits of this statement do not wait for the disk, so that it is as fast as possible.
        environment = {**os.environ, "PGOPTIONS": "-c synchronous_commit=off"}
        with open(self.log, "ab") as log:
            files = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            run = subprocess.Popen([str(part) for part in command], env=environment, **files)
        try:
            yield
            assert run.poll() is None, self.log.read_text()[-2000:]
        finally:
            run.terminate()
            run.wait()
            terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO %'"
            self.sql(terminate)

    def create_database(self, name):
        self.sql(f"CREATE DATABASE {name} OWNER waywiser")

    def url(self, database="waywiser", user="waywiser", password=None, options=""):
        secret = "" if password is None else f":{password}"
        return f"postgres://{user}{secret}@127.0.0.1:{self.port}/{database}{options}"


class Server(Process):
    """A server. It keeps its ports when it is started again."""

    def __init__(self, folder, name, arguments, environment=None):
        super().__init__(folder / f"{name}.log")
        self.port, self.admin_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.command = [WAYWISER, "serve", "--listen", self.address, "--admin-listen", str(self.admin_port), *arguments]
        self.environment = {**os.environ, "HOME": str(folder), **(environment or {})}

    def run(self, wait_s=None):
        self.start(self.command, env=self.environment)
        return self

    def page(self, path):
        """Returns status and text of a page for operators, or (0, "") if there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def wait_for_page(self, path, status):
        def is_there():
            assert self.is_running(), self.log.read_text()[-2000:]
            found, text = self.page(path)
            return text if found == status else None

        return wait_until(is_there, f"{path} with status {status}")

    def wait_until_ready(self):
        self.wait_for_page("/readyz", 200)
        return self

    def metric(self, name):
        return float(re.search(rf"^{name} (\S+)$", self.page("/metrics")[1], re.MULTILINE)[1])


class HAProxy(Process):
    """HAProxy with the file of deploy/cluster, on other ports."""

    def __init__(self, folder, servers):
        super().__init__(folder / "haproxy.log")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.file = folder / "haproxy.cfg"
        text = (ROOT / "deploy/cluster/haproxy.cfg").read_text()
        replaced = [("bind :50051 ", f"bind {self.address} ")]
        for number, server in enumerate(servers, 1):
            # The ports of a machine are shared here, so each server needs its own one for the check.
            own = f"{server.address} check port {server.admin_port} "
            replaced.append((f"server-{number}:50051 check ", own))
        for old, new in replaced:
            assert text.count(old) == 1, f"haproxy.cfg does not have {old!r} once"
            text = text.replace(old, new)
        self.file.write_text(text)

    def run(self):
        self.start(["haproxy", "-db", "-f", self.file])


def program(*arguments, environment=None, text=None, check=True):
    """Runs waywiser to its end. Returns its exit status, standard output and standard error."""
    run = subprocess.run(
        [WAYWISER, *map(str, arguments)],
        input=text if text is not None else "",
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
        timeout=WAIT_S,
    )
    assert not check or run.returncode == 0, f"{arguments}: {run.stderr}"
    return run.returncode, run.stdout, run.stderr
