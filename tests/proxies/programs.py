"""Runs waywiser and the proxies, with files and ports of their own."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading

from certificates import make_ca, make_certificate, with_tls
from processes import Process, free_port

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "proxies"
# The client of a call reaches a proxy from this address, and the proxies reach the server from 127.0.0.1.
CLIENT_ADDRESS = "127.0.0.9"


def make_certificates(folder):
    """Makes a CA, and a certificate for localhost in the files that the configurations name."""
    make_ca(folder)
    make_certificate(folder, "DNS:localhost,IP:127.0.0.1")


class Program(Process):
    """A server or a proxy. It is killed if it does not end in time."""

    def stop(self):
        if self.is_running():
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()


class Waywiser(Program):
    """A server that stores nothing on disk, with JSON lines as its log."""

    def __init__(self, folder, name, *arguments):
        super().__init__(folder / f"{name}.log")
        self.admin_port = free_port()
        command = [os.environ["WAYWISER"], "serve", "--ephemeral", "--listen", "127.0.0.1:0", "--log-format", "json"]
        command += ["--admin-listen", f"127.0.0.1:{self.admin_port}", "--trust-forwarded-for", "127.0.0.1/32"]
        self.start([*command, *arguments], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), f"the server did not start: {line!r} {self.log.read_text()}"
        self.address = line.split()[-1]

    def peers(self, method):
        """Returns the client addresses of the ended calls of a method, without ports."""
        calls = (json.loads(line) for line in self.log.read_text().splitlines())
        peers = set()
        for call in calls:
            fields = {**call, **call.get("fields", {}), **call.get("span", {})}
            if str(fields.get("method", "")).endswith(method):
                peers.add(str(fields.get("peer")).rsplit(":", 1)[0])
        return peers


class Proxy(Program):
    """A proxy with a file of deploy/proxies. `encrypted` selects TLS to the server."""

    def __init__(self, folder, server, encrypted=False, edit=lambda text: text):
        folder.mkdir()
        super().__init__(folder / "log")
        self.folder = folder
        self.port = free_port()
        self.certificates = folder.parent / "certificates"
        text = (DEPLOY / self.FILE).read_text()
        if encrypted:
            text = with_tls(text)
        host, port = server.address.split(":")
        for old, new in [
            ("/etc/waywiser/", f"{self.certificates}/"),
            *self.substitutions(f"{host}:{port}", port, server.admin_port),
        ]:
            assert old in text, f"{self.FILE} has no {old!r}"
            text = text.replace(old, new)
        (folder / self.FILE).write_text(edit(text))

    @property
    def address(self):
        return f"localhost:{self.port}"

    def run(self):
        self.start(self.command(), cwd=self.folder, env=self.environment())

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)}

    @classmethod
    def version(cls):
        """Returns the version, or `None` if the program is not installed."""
        program = shutil.which(cls.PROGRAM)
        if not program:
            return None
        run = subprocess.run([cls.PROGRAM, *cls.VERSION], capture_output=True, text=True)
        return (run.stdout + run.stderr).strip().splitlines()[0].replace(program, cls.PROGRAM)


class Nginx(Proxy):
    PROGRAM, VERSION, FILE = "nginx", ["-v"], "nginx.conf"

    def substitutions(self, server, port, admin_port):
        folders = "".join(
            f"    {kind}_temp_path {self.folder}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        )
        return [
            ("listen 443 ", f"listen 127.0.0.1:{self.port} "),
            ("127.0.0.1:50051", server),
            ("/var/log/nginx/", f"{self.folder}/"),
            ("http {\n", "http {\n" + folders),
        ]

    def command(self):
        settings = f"daemon off; pid {self.folder}/pid;"
        return ["nginx", "-p", self.folder, "-e", self.log, "-c", self.folder / self.FILE, "-g", settings]

    def access_log(self):
        return (self.folder / "waywiser.log").read_text()


class HAProxy(Proxy):
    PROGRAM, VERSION, FILE = "haproxy", ["-v"], "haproxy.cfg"

    def substitutions(self, server, port, admin_port):
        return [
            ("bind :443 ", f"bind 127.0.0.1:{self.port} "),
            ("127.0.0.1:50051", server),
            ("check port 9464 ", f"check port {admin_port} "),
        ]

    def command(self):
        return ["haproxy", "-db", "-f", self.folder / self.FILE]

    def access_log(self):
        return self.log.read_text()


class Caddy(Proxy):
    PROGRAM, VERSION, FILE = "caddy", ["version"], "Caddyfile"

    def substitutions(self, server, port, admin_port):
        return [
            ("\nhttps://:443 {\n", f"\nhttps://localhost:{self.port} {{\n\tbind 127.0.0.1\n"),
            ("127.0.0.1:50051", server),
        ]

    def command(self):
        return ["caddy", "run", "--config", self.folder / self.FILE, "--adapter", "caddyfile"]

    def access_log(self):
        return self.log.read_text()


class Envoy(Proxy):
    PROGRAM, VERSION, FILE = "envoy", ["--version"], "envoy.yaml"

    def substitutions(self, server, port, admin_port):
        return [
            ("address: 0.0.0.0, port_value: 443 ", f"address: 127.0.0.1, port_value: {self.port} "),
            ("port_value: 50051 ", f"port_value: {port} "),
        ]

    def command(self):
        return ["envoy", "-c", self.folder / self.FILE, "--use-dynamic-base-id", "--concurrency", "2", "-l", "warn"]

    def access_log(self):
        return self.log.read_text()


@contextlib.contextmanager
def forwarded_from_client_address(port):
    """Forwards connections to a port of loopback, from CLIENT_ADDRESS. Yields the port that it listens on."""
    listener = socket.create_server(("127.0.0.1", 0))

    def copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                proxy = socket.create_connection(("127.0.0.1", port), source_address=(CLIENT_ADDRESS, 0))
                for source, target in [(client, proxy), (proxy, client)]:
                    threading.Thread(target=copy, args=(source, target), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
