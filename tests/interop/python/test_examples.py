"""Runs the programs in examples/python against each other, against waywiser, and with the client of waywiser."""

import concurrent.futures
import math
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import grpc
import pytest
from conftest import REPOSITORY

EXAMPLES = REPOSITORY / "examples" / "python"
PRINTED = "displacement: 3.0\npath length: 9.0 through 3 points\n"


def blocks(language):
    text = (EXAMPLES / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns a copy of the examples with their stubs, which the command of the README generates."""
    copy = tmp_path_factory.mktemp("repository") / "examples" / "python"
    shutil.copytree(EXAMPLES, copy)
    (copy.parent.parent / "proto").symlink_to(REPOSITORY / "proto")
    [commands] = blocks("sh")
    generate = [line for line in commands.splitlines() if "grpc_tools.protoc" in line]
    assert len(generate) == 1
    subprocess.run(["bash", "-euc", generate[0]], cwd=copy, env=environment(), check=True)
    return copy


def environment():
    """Returns an environment in which python3 has the packages of the tests, and no other stubs."""
    python = pathlib.Path(sys.executable).parent
    return {"PATH": f"{python}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def server(folder):
    """Runs the example server, and returns its address."""
    command = [sys.executable, "server.py", "127.0.0.1:0"]
    process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        port = re.fullmatch(r"listening on port (\d+)\n", line)
        assert port, line
        yield f"127.0.0.1:{port[1]}"
    finally:
        process.kill()
        process.wait()


def client(folder, address, *numbers):
    command = [sys.executable, "client.py", address, *map(str, numbers)]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)


def test_the_commands_of_the_readme_print_what_it_shows(folder):
    [commands] = blocks("sh")
    lines = commands.splitlines()
    assert len(lines) == 5 and lines[0] == "python3 -m pip install grpcio grpcio-tools"
    with socket.socket() as reserved:
        # No other process gets the port, and the server of the commands can listen there.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        # The packages are installed. Another port, because the documented one may be taken.
        script = "\n".join(lines[1:]).replace("50051", str(port))
        run = subprocess.run(["bash", "-euc", script], cwd=folder, env=environment(), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    [printed] = blocks("text")
    assert printed == PRINTED
    assert run.stdout.replace(f"listening on port {port}\n", "") == printed


def test_the_client_measures_with_waywiser(folder, address):
    run = client(folder, address, 0, 0, 3, 4, 3, 0)
    assert (run.returncode, run.stdout) == (0, PRINTED), run.stderr


def test_the_client_measures_with_the_server(folder, server):
    run = client(folder, server, 0, 0, 3, 4, 3, 0)
    assert (run.returncode, run.stdout) == (0, PRINTED), run.stderr
    corners = [-(2**31), -(2**31), 2**31 - 1, 2**31 - 1]
    run = client(folder, server, *corners)
    length = math.hypot(2**32 - 1, 2**32 - 1)
    assert run.stdout == f"displacement: 6074000896.0\npath length: {length} through 2 points\n"


def test_an_error_is_one_line(folder):
    # A server without services.
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    run = client(folder, f"127.0.0.1:{port}", 0, 0, 1, 1)
    server.stop(None)
    assert (run.returncode, run.stdout) == (1, "")
    assert re.fullmatch(r"UNIMPLEMENTED: .+\n", run.stderr), run.stderr


@pytest.mark.parametrize("numbers", [[], [1, 2], [1, 2, 3]])
def test_too_few_numbers_print_the_usage(folder, numbers):
    run = client(folder, "127.0.0.1:1", *numbers)
    assert run.returncode == 1
    assert "usage: client.py ADDRESS" in run.stderr and "Traceback" not in run.stderr


def test_waywiser_measures_a_file_with_the_server(folder, server):
    track = "x,y\n0,0\n3,4\n3,0\n"
    command = [os.environ["WAYWISER"], "record", "--server", f"http://{server}", "--method", "path-length"]
    command += ["--format", "csv", "-"]
    run = subprocess.run(command, input=track, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert re.search(r"\b9\b", run.stdout), run.stdout
