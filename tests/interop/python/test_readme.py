"""The README's Python quick start, run as it stands against a server on the port it names."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import pytest
from conftest import REPOSITORY, own_server

LISTEN = ("127.0.0.1", 50051)


def block(readme, marker, language):
    """The fenced block directly below an HTML comment."""
    found = re.findall(
        rf"^<!-- {re.escape(marker)} -->\n+```{language}\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL
    )
    assert len(found) == 1, f"the README should hold one ```{language} block below <!-- {marker} -->, holds {len(found)}"
    return found[0]


def test_the_quick_start_does_what_it_says(tmp_path):
    readme = pathlib.Path(os.environ.get("WAYWISER_README", REPOSITORY / "README.md")).read_text()
    stubs = block(readme, "interop: python stubs", "sh")
    program = block(readme, "interop: python quick start", "python")

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(LISTEN)
        except OSError as error:
            pytest.fail(f"port 50051 is busy, and the quick start names it: stop what listens there ({error})")

    shutil.copytree(REPOSITORY / "proto", tmp_path / "proto")
    (tmp_path / "quick_start.py").write_text(program)
    environment = dict(os.environ, PATH=f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}")
    environment.pop("PYTHONPATH", None)  # its own stubs, not those of the suite

    def run(*command):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    with own_server("127.0.0.1:50051") as server:
        run("bash", "-euo", "pipefail", "-c", stubs)
        printed = run("python3", "quick_start.py")
        server.terminate()
        assert server.wait() == 0

    # Every `print(...)  # text` of the program promises a line of output.
    promised = re.findall(r"^ *print\(.*\)  # (.*)$", program, flags=re.MULTILINE)
    assert promised, "the quick start should say what it prints"
    assert printed.splitlines() == promised
