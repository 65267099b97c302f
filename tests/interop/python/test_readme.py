"""The README's quick starts, run as they stand against a server on the port they name."""

import json
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


@pytest.fixture
def readme():
    return pathlib.Path(os.environ.get("WAYWISER_README", REPOSITORY / "README.md")).read_text()


@pytest.fixture
def server():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(LISTEN)
        except OSError as error:
            pytest.fail(f"port 50051 is busy, and the README names it: stop what listens there ({error})")
    with own_server("127.0.0.1:50051") as server:
        yield server
        server.terminate()
        assert server.wait() == 0


def run(folder, path, *command):
    environment = dict(os.environ, PATH=f"{path}:{os.environ['PATH']}")
    environment.pop("PYTHONPATH", None)  # its own stubs, not those of the suite
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    ("stubs", "program"),
    [
        ("interop: python stubs", "interop: python quick start"),
        ("interop: python v1 stubs", "interop: python v1"),
    ],
)
def test_a_quick_start_does_what_it_says(readme, tmp_path, server, stubs, program):
    stubs = block(readme, stubs, "sh")
    program = block(readme, program, "python")
    shutil.copytree(REPOSITORY / "proto", tmp_path / "proto")
    (tmp_path / "quick_start.py").write_text(program)

    python = pathlib.Path(sys.executable).parent
    run(tmp_path, python, "bash", "-euo", "pipefail", "-c", stubs)
    printed = run(tmp_path, python, "python3", "quick_start.py")

    # Every `print(...)  # text` of the program promises a line of output.
    promised = re.findall(r"^ *print\(.*\)  # (.*)$", program, flags=re.MULTILINE)
    assert promised, "the quick start should say what it prints"
    assert printed.splitlines() == promised


def test_a_recording_can_be_typed_by_hand(readme, tmp_path, server):
    grpcurl = os.environ.get("GRPCURL") and shutil.which(os.environ["GRPCURL"])
    if not grpcurl:
        pytest.skip("grpcurl is neither installed nor to be had")
    typed = block(readme, "interop: grpcurl v1", "sh")
    printed = run(tmp_path, pathlib.Path(grpcurl).parent, "bash", "-euo", "pipefail", "-c", typed)

    # Two replies, one behind the other.
    reply, end = json.JSONDecoder().raw_decode(printed)
    path = json.loads(printed[end:])["path"]
    for told in reply, path:
        assert (told["name"], told["complete"], told["committedPoints"]) == ("paths/by-hand", True, "3")
    assert reply["summary"] == path["summary"]
    assert 32 < reply["summary"]["lengthM"] < 34
