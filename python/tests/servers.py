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
        #: The connections, and the number of threads that use each of them.
        self.open: dict[tuple[socket.socket, socket.socket], int] = {}
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
                pair = client, upstream
                self.open[pair] = 2
            for (source, target), budget in zip((pair, pair[::-1]), budgets, strict=True):
                threading.Thread(target=self.pump, args=(pair, source, target, budget), daemon=True).start()

    def pump(
        self, pair: tuple[socket.socket, socket.socket], source: socket.socket, target: socket.socket, budget: int
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                budget -= len(data)
                if budget < 0:
                    target.sendall(data[:budget])
                    with self.lock:
                        self.cut_count += 1
                    break
                target.sendall(data)
        with self.lock:
            self.cut(pair)
            self.open[pair] -= 1
            if self.open[pair] == 0:
                # Not before both threads have ended: another socket gets the file descriptor of one that was closed.
                del self.open[pair]
                for one in pair:
                    one.close()

    def cut(self, pair: tuple[socket.socket, socket.socket]) -> None:
        """End both directions of a connection. The threads close it."""
        for one in pair:
            with contextlib.suppress(OSError):
                # A reset, at random, instead of a regular end.
                if self.random.random() < 0.5:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)

    def cut_all(self) -> None:
        with self.lock:
            for pair in self.open:
                self.cut(pair)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            # Ends the wait of the thread, which closing alone does not.
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut_all()
