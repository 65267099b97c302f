"""Checks that clients of the first published contract, which has one method, still work.

They run as child processes, because a process cannot load two contracts of the same package.
"""

import pathlib
import subprocess
import sys

import pytest

PUBLISHED = pathlib.Path(__file__).parent / "published"


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PUBLISHED}", f"--python_out={folder}"]
        + [f"--grpc_python_out={folder}", "displacement.proto"],
        check=True,
    )
    return folder


@pytest.mark.parametrize(
    "numbers, printed",
    [
        (["0", "0", "3", "4"], "5.0\n"),
        (["1", "2", "1", "2"], "0.0\n"),
        (["-2147483648", "-2147483648", "2147483647", "2147483647"], "6074000896.0\n"),
    ],
)
def test_an_unmodified_client_keeps_working(stubs, address, numbers, printed):
    client = subprocess.run(
        [sys.executable, PUBLISHED / "client.py", address, *numbers],
        env={"PYTHONPATH": str(stubs), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert (client.returncode, client.stdout) == (0, printed), client.stderr
