"""What the tests share: a channel to the server under test, and servers of a test's own.

`tests/interop/run` starts the server, generates the stubs and tells where they are:
WAYWISER_ADDRESS is the server, WAYWISER the program, WAYWISER_SERVE the command that serves without
leaving anything behind, PYTHONPATH holds the stubs.
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
    """Asks the server, over the test's own connection, whether it still serves."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    def ask():
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        return reply.status == health_pb2.HealthCheckResponse.SERVING

    return ask


class Server:
    """A server of a test's own: started, asked where it listens, stopped by its pid."""

    def __init__(self, listen):
        command = [os.environ["WAYWISER"], *os.environ["WAYWISER_SERVE"].split(), "--listen", listen]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on (\S+:\d+)\n", line)
        if not found:
            self.kill()
            pytest.fail(f"the server's first line should tell where it listens, was {line!r}")
        self.address = found[1]

    def terminate(self):
        """SIGTERM: drain, then exit."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        """The exit status; stdout must have held the one line and no more."""
        rest = self.process.stdout.read()
        status = self.process.wait()
        assert rest == "", f"more than one line on stdout: {rest!r}"
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def own_server(listen="127.0.0.1:0"):
    server = Server(listen)
    try:
        yield server
    finally:
        server.kill()


def error_of(call):
    """The grpc.RpcError that `call()` raises."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value


def error_info(error):
    """The google.rpc.ErrorInfo in an error's details, decoded by grpcio-status and checked."""
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
