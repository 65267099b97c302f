"""Runs the marked snippets of the README and of docs/ unchanged, against a server on the port that they name."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

import pytest
from conftest import REPOSITORY, own_server

LISTEN = ("127.0.0.1", 50051)

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
TEXT = "\n".join(path.read_text() for path in DOCUMENTS)


def block(marker, language):
    """Returns the fenced block directly below an HTML comment."""
    found = re.findall(rf"^<!-- {re.escape(marker)} -->\n+```{language}\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"expected one ```{language} block below <!-- {marker} -->, found {len(found)}"
    return found[0]


def output_of(marker):
    """Returns the ```json block directly below the ```sh block of a marker."""
    pattern = rf"^<!-- {re.escape(marker)} -->\n+```sh\n[^`]*^```\n+```json\n(.*?)^```$"
    found = re.findall(pattern, TEXT, flags=re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"expected one ```json block below the commands of <!-- {marker} -->, found {len(found)}"
    return found[0]


def wait_for_the_port():
    """Waits until the port of the documents is free. A client of another program may have it for a moment."""
    deadline = time.monotonic() + 120
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                return probe.bind(LISTEN)
            except OSError as error:
                reason = f"port 50051, which the documents use, is busy ({error}): stop the process that listens on it"
        if time.monotonic() > deadline:
            pytest.fail(reason)
        time.sleep(0.5)


@pytest.fixture
def server():
    wait_for_the_port()
    with own_server("127.0.0.1:50051") as server:
        yield server
        server.terminate()
        assert server.wait() == 0


@pytest.fixture
def grpcurl():
    """Returns the folder of grpcurl."""
    grpcurl = os.environ.get("GRPCURL") and shutil.which(os.environ["GRPCURL"])
    if not grpcurl:
        pytest.skip("grpcurl is not installed and cannot be downloaded")
    return pathlib.Path(grpcurl).parent


def run(folder, path, *command):
    environment = dict(os.environ, PATH=f"{path}:{os.environ['PATH']}")
    environment.pop("PYTHONPATH", None)  # the stubs of the snippet, not those of the suite
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    ("stubs", "program"),
    [
        ("interop: python stubs", "interop: python quick start"),
        ("interop: python displacement stubs", "interop: python displacement"),
        ("interop: python v1 stubs", "interop: python v1"),
    ],
)
def test_a_program_prints_what_its_comments_say(tmp_path, server, stubs, program):
    stubs = block(stubs, "sh")
    program = block(program, "python")
    shutil.copytree(REPOSITORY / "proto", tmp_path / "proto")
    (tmp_path / "program.py").write_text(program)

    python = pathlib.Path(sys.executable).parent
    run(tmp_path, python, "bash", "-euo", "pipefail", "-c", stubs)
    printed = run(tmp_path, python, "python3", "program.py")

    # Each `print(...)  # text` of the program stands for a line of output.
    expected = re.findall(r"^ *print\(.*\)  # (.*)$", program, flags=re.MULTILINE)
    assert expected, "the program has no print with a comment"
    assert printed.splitlines() == expected


@pytest.mark.parametrize(
    "marker",
    [
        "interop: grpcurl quick start",
        "interop: grpcurl displacement",
        "interop: grpcurl path length",
        "interop: grpcurl health",
    ],
)
def test_grpcurl_prints_the_json_below_the_command(tmp_path, server, grpcurl, marker):
    printed = run(tmp_path, grpcurl, "bash", "-euo", "pipefail", "-c", block(marker, "sh"))
    assert json.loads(printed) == json.loads(output_of(marker))


def test_a_recording_can_be_typed_by_hand(tmp_path, server, grpcurl):
    commands = block("interop: grpcurl v1", "sh")
    printed = run(tmp_path, grpcurl, "bash", "-euo", "pipefail", "-c", commands)

    # Two replies in sequence.
    reply, end = json.JSONDecoder().raw_decode(printed)
    path = json.loads(printed[end:])["path"]
    for recording in reply, path:
        assert (recording["name"], recording["complete"], recording["committedPoints"]) == ("paths/by-hand", True, "3")
    assert reply["summary"] == path["summary"]
    assert 32 < reply["summary"]["lengthM"] < 34


def test_points_that_are_appended_twice_count_once(tmp_path, server, grpcurl):
    commands = block("interop: grpcurl append", "sh")
    printed = run(tmp_path, grpcurl, "bash", "-euo", "pipefail", "-c", commands)

    replies, at = [], 0
    while at < len(printed.rstrip()):
        reply, at = json.JSONDecoder().raw_decode(printed, at + len(printed[at:]) - len(printed[at:].lstrip()))
        replies.append(reply)
    name = "paths/phone-7"
    assert replies == [{"name": name, "committedPoints": count} for count in "123"]
    get = ["grpcurl", "-plaintext", "-d", json.dumps({"name": name}), "127.0.0.1:50051"]
    printed = run(tmp_path, grpcurl, *get, "waywiser.v1.PathService/GetPath")
    (duplicates,) = json.loads(printed)["path"]["summary"]["rejections"]
    assert (duplicates["reason"], duplicates["count"]) == ("REJECTION_REASON_DUPLICATE", "1")
