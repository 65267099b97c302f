"""Fixtures of all tests: a channel to the shared server, and servers for a single test.

`tests/interop/run` starts the shared server, generates the stubs, and sets these variables:

* WAYWISER_ADDRESS: the address of the shared server
* WAYWISER: the program
* WAYWISER_SERVE: the arguments of a server that stores nothing on disk
* PYTHONPATH: the directory of the stubs
"""

import contextlib
import os
import pathlib
import re
import signal
import subprocess

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def address():
    return os.environ["WAYWISER_ADDRESS"]


@pytest.fixture
def channel(address):
    with grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture
def healthy(channel):
    """Returns a function that asks the server for its health over the connection of the test."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    def ask():
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        return reply.status == health_pb2.HealthCheckResponse.SERVING

    return ask


class Server:
    """A server for a single test."""

    def __init__(self, listen, *arguments):
        command = [os.environ["WAYWISER"], *os.environ["WAYWISER_SERVE"].split(), "--listen", listen, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on (\S+:\d+)\n", line)
        if not found:
            self.kill()
            pytest.fail(f"the first line of the server should be its address, but is {line!r}")
        self.address = found[1]

    def terminate(self):
        """Sends SIGTERM, after which the server drains and exits."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        """Returns the exit status, and checks that stdout had only one line."""
        rest = self.process.stdout.read()
        status = self.process.wait()
        assert rest == "", f"more than one line on stdout: {rest!r}"
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def own_server(listen="127.0.0.1:0", *arguments):
    server = Server(listen, *arguments)
    try:
        yield server
    finally:
        server.kill()


def error_of(call):
    """Returns the grpc.RpcError that `call()` raises."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value


def error_info(error):
    """Returns the google.rpc.ErrorInfo of an error, decoded by grpcio-status, and checks its form."""
    status = rpc_status.from_call(error)
    assert status is not None, f"no grpc-status-details-bin in {error!r}"
    assert status.message == error.details()
    infos = []
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            infos.append(info)
    assert len(infos) == 1, f"one ErrorInfo expected in {status}"
    assert infos[0].domain == "waywiser"
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+[A-Z0-9]", infos[0].reason), infos[0].reason
    return infos[0]
