"""Servers for the tests, and a proxy that cuts connections."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

import pytest

WAYWISER = os.environ.get("WAYWISER")
needs_program = pytest.mark.skipif(WAYWISER is None, reason="the variable WAYWISER does not name the program")


class Server:
    """The program as a server on a free port of this machine."""

    def __init__(self, folder: Path, *arguments: str, store: str = "memory:", scheme: str = "http") -> None:
        self.folder, self.arguments, self.scheme = folder, ["--store", store, *arguments], scheme
        self.start()

    def start(self) -> None:
        assert WAYWISER is not None
        log = self.folder / "log"
        with open(log, "wb") as output:
            command = [WAYWISER, "serve", "--listen", "127.0.0.1:0", *self.arguments]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        found = None
        while found is None:
            assert self.process.poll() is None, log.read_text()
            time.sleep(0.02)
            found = re.search(r"listening on 127\.0\.0\.1:(\d+)\n", log.read_text())
        self.port = int(found[1])

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def send_signal(self, number: int) -> None:
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            # Until all threads have stopped, the server may answer a call.
            os.waitpid(self.process.pid, os.WUNTRACED)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.kill()


class Proxy:
    """Forwards connections to a server. Cuts some of them after a random number of bytes."""

    def __init__(self, server: Server, seed: int, cut_after: int) -> None:
        self.server, self.cut_after = server, cut_after
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.open: set[socket.socket] = set()
        self.cut_count = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                upstream = socket.create_connection(("127.0.0.1", self.server.port))
            except OSError:
                client.close()
                continue
            with self.lock:
                budgets = [self.random.randrange(self.cut_after) for _ in range(2)]
                self.open |= {client, upstream}
            for pair, budget in zip(((client, upstream), (upstream, client)), budgets, strict=True):
                threading.Thread(target=self.pump, args=(*pair, budget), daemon=True).start()

    def pump(self, source: socket.socket, target: socket.socket, budget: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                budget -= len(data)
                if budget < 0:
                    target.sendall(data[:budget])
                    with self.lock:
                        self.cut_count += 1
                    break
                target.sendall(data)
        self.cut(source, target)

    def cut(self, *sockets: socket.socket) -> None:
        for one in sockets:
            with self.lock:
                is_open = one in self.open
                self.open.discard(one)
            if is_open:
                # A reset, at random, instead of a regular end.
                if self.random.random() < 0.5:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def cut_all(self) -> None:
        with self.lock:
            sockets = list(self.open)
        self.cut(*sockets)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()
        self.cut_all()
