"""Runs the Python code of a document as it stands, in order, next to a server.

The code has the default address of the server. It is replaced by that of the server that this script starts.

usage: python tests/readme.py DOCUMENT
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEFAULT = "127.0.0.1:50051"


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


def address_of(server: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until a server accepts calls, and return the address that it prints."""
    while not (found := re.search(r"listening on (127\.0\.0\.1:\d+)\n", log.read_text())):
        if server.poll() is not None:
            raise SystemExit(f"the server has ended with status {server.returncode}:\n{log.read_text()}")
        time.sleep(0.05)
    return found[1]


def main() -> None:
    document = Path(sys.argv[1]).resolve()
    os.chdir(document.parent)
    found = blocks(document.read_text())
    if not found:
        raise SystemExit(f"{document.name} has no Python code")
    program = os.environ.get("WAYWISER", "waywiser")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with open(log, "wb") as output:
            command = [program, "serve", "--store", "memory:", "--listen", "127.0.0.1:0"]
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            address = address_of(server, log)
            names: dict[str, object] = {"__name__": "__main__"}
            for line, code in found:
                # Empty lines before the code give the numbers of the document to tracebacks.
                code = "\n" * (line - 1) + code.replace(DEFAULT, address)
                exec(compile(code, str(document), "exec"), names)
        finally:
            server.terminate()
            server.wait()
    print(f"{len(found)} blocks of {document.name} have run")


if __name__ == "__main__":
    main()
