"""Runs the Python code of a document as it stands, in order, next to a server at its default address.

usage: python tests/readme.py DOCUMENT
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ADDRESS = ("127.0.0.1", 50051)


def blocks(text: str) -> list[tuple[int, str]]:
    """Return the blocks of Python code with the number of their first line."""
    found, code, start = [], None, 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if line.strip() == "```python":
            code, start = [], number + 1
        elif line.strip() == "```" and code is not None:
            found.append((start, "".join(code)))
            code = None
        elif code is not None:
            code.append(line)
    return found


def wait_for_server(server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            socket.create_connection(ADDRESS, timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"the server has ended with status {server.returncode}")


def main() -> None:
    document = Path(sys.argv[1]).resolve()
    os.chdir(document.parent)
    found = blocks(document.read_text())
    if not found:
        raise SystemExit(f"{document.name} has no Python code")
    with socket.socket() as probe:
        if probe.connect_ex(ADDRESS) == 0:
            raise SystemExit("another program listens on 127.0.0.1:50051")
    program = os.environ.get("WAYWISER", "waywiser")
    server = subprocess.Popen([program, "serve", "--store", "memory:", "--listen", "127.0.0.1:50051"])
    try:
        wait_for_server(server)
        names: dict[str, object] = {"__name__": "__main__"}
        for line, code in found:
            # Empty lines before the code give the numbers of the document to tracebacks.
            exec(compile("\n" * (line - 1) + code, str(document), "exec"), names)
    finally:
        server.terminate()
        server.wait()
    print(f"{len(found)} blocks of {document.name} have run")


if __name__ == "__main__":
    main()
