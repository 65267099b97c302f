"""The metrics of a server, read by the parsers of prometheus_client."""

import contextlib
import json
import os
import re
import subprocess
import threading
import types
import urllib.request

import grpc
import pytest
from my_package import displacement_pb2, displacement_pb2_grpc
from prometheus_client import parser as prometheus
from prometheus_client.openmetrics import parser as openmetrics


@contextlib.contextmanager
def admin_server():
    """Starts a server with a listener for operators, whose address is in the log."""
    command = [os.environ["WAYWISER"], *os.environ["WAYWISER_SERVE"].split(), "--listen", "127.0.0.1:0"]
    command += ["--admin-listen", "0", "--log-format", "json"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)
    try:
        lines = map(json.loads, process.stderr)
        admin = next(line["address"] for line in lines if line["message"].startswith("listening for operators"))
        # The rest of the log is read, so that the pipe does not fill.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        address = process.stdout.readline().removeprefix("listening on ").strip()
        yield types.SimpleNamespace(address=address, admin=admin)
    finally:
        process.kill()
        process.wait()


def read(address, path, accept="*/*"):
    request = urllib.request.Request(f"http://{address}{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request) as reply:
        return reply.headers["Content-Type"], reply.read().decode()


@pytest.fixture(scope="module")
def observed():
    with admin_server() as server:
        with grpc.insecure_channel(server.address) as channel:
            stub = displacement_pb2_grpc.DisplacementServiceStub(channel)
            points = (displacement_pb2.Point(x=x, y=0) for x in range(10))
            assert stub.computePathLength(points).length == 9
        yield server


def check(families):
    samples = {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}
    method = ("grpc_method", "my_package.DisplacementService/computePathLength")
    assert samples["waywiser_points_total", (method,)] == 10
    assert samples["grpc_server_call_started_total", (method,)] == 1
    assert samples["waywiser_store_up", ()] == 1
    histograms = [f for f in families if f.type == "histogram"]
    assert {f.name for f in histograms} >= {
        "grpc_server_call_duration_seconds",
        "waywiser_commit_duration_seconds",
    }
    assert all(f.documentation for f in families)
    return samples


def test_the_default_format_is_that_of_prometheus(observed):
    content_type, text = read(observed.admin, "/metrics")
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    check(list(prometheus.text_string_to_metric_families(text)))


def test_open_metrics_is_valid(observed):
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    content_type, text = read(observed.admin, "/metrics", accept)
    assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = list(openmetrics.text_string_to_metric_families(text))
    check(families)
    for family in families:
        unit = re.search(r"_(seconds|bytes)$", family.name)
        assert family.unit == (unit[1] if unit else ""), family.name


def test_the_server_is_alive_and_ready(observed):
    assert read(observed.admin, "/healthz")[1] == "alive\n"
    assert read(observed.admin, "/readyz")[1] == "ready\n"
    assert "/metrics" in read(observed.admin, "/")[1]
