"""Runs PostgreSQL, waywiser and HAProxy, with files and ports of their own."""

import contextlib
import csv
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

import processes
from certificates import with_tls
from processes import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
WAYWISER = os.environ["WAYWISER"]
PASSWORD = "correct-horse-battery"
WRONG_PASSWORD = "incorrect-horse-battery"
# How long the test waits for an event that must come. It never decides whether a result is right.
WAIT_S = 120


def wait_until(condition, what):
    """Waits until a condition is true, and returns its value."""
    deadline = time.monotonic() + WAIT_S
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not happen in {WAIT_S} s"
        time.sleep(0.05)


class Process(processes.Process):
    """A process that ends within a minute when it is asked to."""

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

    def __init__(self, folder, primary=None):
        """Makes an empty cluster, or a standby of a primary."""
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
        if primary is None:
            command = ["initdb", "-U", "postgres", "--no-sync", "-E", "UTF8"]
            command += ["--auth-local=trust", "--auth-host=scram-sha-256"]
        else:
            command = ["pg_basebackup", "-h", primary.folder, "-p", primary.port, "-U", "postgres", "--checkpoint=fast"]
            command += ["--write-recovery-conf"]
        command = [f"{self.bin}/{command[0]}", *map(str, command[1:]), "-D", folder / "main"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **self.user)

    def run(self):
        def attempt():
            if not self.is_running():
                # The processes of a server that was killed end a little later.
                options = ["-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1"]
                options += ["-c", f"unix_socket_directories={self.folder}"]
                command = [f"{self.bin}/postgres", "-D", self.folder / "main", *options]
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
        """Returns status and text of a page for operators, or (0, "") without an answer."""
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

    def wait_for_database(self):
        """Waits until the server uses its database again. It opens its connections one after the other."""
        self.wait_until_ready()
        wait_until(lambda: self.metric("waywiser_database_connected") == 1, "both connections")

    def metric(self, name, missing=None):
        """Returns the value of a metric with its labels. `missing` is the value of one that is not there yet."""
        text = self.page("/metrics")[1]
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found or missing is not None, f"no {name} in {text}"
        return float(found[1]) if found else missing


class HAProxy(Process):
    """HAProxy with the file of deploy/cluster, on other ports."""

    def __init__(self, folder, servers, certificates=None):
        """Makes the configuration. With a folder of certificates, the lines for TLS replace the others."""
        folder.mkdir(exist_ok=True)
        super().__init__(folder / "haproxy.log")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.file = folder / "haproxy.cfg"
        text = (ROOT / "deploy/cluster/haproxy.cfg").read_text()
        if certificates:
            text = with_tls(text).replace("/etc/waywiser/", f"{certificates}/")
        else:
            text = "\n".join(line for line in text.splitlines() if "#tls " not in line) + "\n"
        # The socket for questions about the state of the servers.
        self.socket = folder / "stats"
        text = text.replace("\nglobal\n", f"\nglobal\n    stats socket {self.socket} mode 600\n", 1)
        replaced = [("bind :443 " if certificates else "bind :50051 ", f"bind {self.address} ")]
        for number, server in enumerate(servers, 1):
            [line] = [line for line in text.splitlines() if f" server-{number}:50051 " in line]
            # The ports of a machine are shared here, so each server needs its own one for the check.
            own = line.replace(f" server-{number}:50051 ", f" {server.address} ")
            replaced.append((line, own.replace(" check ", f" check port {server.admin_port} ")))
        for old, new in replaced:
            assert text.count(old) == 1, f"haproxy.cfg does not have {old!r} once"
            text = text.replace(old, new)
        self.file.write_text(text)
        subprocess.run(["haproxy", "-c", "-f", self.file], check=True, capture_output=True)

    def run(self):
        self.start(["haproxy", "-db", "-f", self.file])

        def listens():
            with socket.socket() as connection:
                return connection.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(listens, "the start of HAProxy")

    def is_up(self, number):
        """Returns whether the last health check of a server has succeeded, and it gets calls."""
        state = self.state(number)
        # A star means that the next check is running.
        return state["status"] == "UP" and state["check_status"].removeprefix("* ") == "L7OK"

    def is_down(self, number):
        """Returns whether a server gets no calls, because its health checks fail."""
        return self.state(number)["status"].startswith("DOWN")

    def state(self, number):
        """Returns the statistics of a server."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            connection.sendall(b"show stat\n")
            text = connection.makefile().read()
        names = ("waywiser", ("one", "two")[number])
        [state] = [row for row in csv.DictReader(text.splitlines()) if (row["# pxname"], row["svname"]) == names]
        return state


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
