"""The clients of the tests: the program of deploy/README.md, `waywiser record`, and single calls."""

import re
import subprocess
import sys

import grpc
import live
from programs import ROOT, WAIT_S, WAYWISER
from waywiser.v1 import path_pb2 as pb
from waywiser.v1.path_pb2_grpc import PathServiceStub


def documented_blocks(document, marker):
    """Returns the code blocks of a document that have a marker."""
    text = (ROOT / document).read_text()
    found = re.findall(rf"\n<!-- {re.escape(marker)} -->\n```\w+\n(.*?)\n```\n", text, re.DOTALL)
    assert found, f"{document} has no block with the marker {marker!r}"
    return [block + "\n" for block in found]


def documented_block(document, marker):
    """Returns the only code block of a document that has a marker."""
    [block] = documented_blocks(document, marker)
    return block


def position(number):
    """Returns longitude and latitude of a point. Neighbours are up to some kilometres apart."""
    return number * 7919 % 1000 / 9973, 46 + number * 104729 % 1000 / 9967


def point(number):
    x, y = position(number)
    return pb.Point(x=x, y=y)


class Client:
    """Calls of a server or of the proxy."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.paths = PathServiceStub(self.channel)

    def get(self, name):
        return self.paths.GetPath(pb.GetPathRequest(name=name), timeout=20).path

    def measure(self, numbers):
        """Returns the summary of points that are sent without a name, in one stream."""
        numbers = list(numbers)

        def messages():
            for start in range(0, len(numbers), 1000):
                yield pb.RecordPathRequest(points=[point(number) for number in numbers[start : start + 1000]])

        return self.paths.RecordPath(messages(), timeout=60).summary

    def error(self, name="paths/no-such-path"):
        """Returns the error of a call about a recording."""
        try:
            self.get(name)
        except grpc.RpcError as error:
            return error
        raise AssertionError(f"there is {name}")


class Live(live.Live):
    """A recording whose points the test sends when it wants."""

    def __init__(self, client, name, **fields):
        super().__init__(client, name, point, **fields)


def bits(summary):
    """Returns a summary as bytes, so that equal bytes are equal bits."""
    return summary.SerializeToString(deterministic=True)


class Recorder:
    """A program that records the points of its standard input."""

    def __init__(self, command, log, line):
        self.log, self.line = log, line
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def send(self, numbers):
        self.process.stdin.write("".join(self.line(*position(number)) for number in numbers))
        self.process.stdin.flush()

    def is_running(self):
        return self.process.poll() is None

    def finish(self):
        """Closes the input. Returns what the program prints."""
        self.process.stdin.close()
        out = self.process.stdout.read()
        assert self.process.wait() == 0, self.log.read_text()[-2000:]
        return out

    def fail(self):
        """Closes the input, and waits until the program ends with an error. Returns what it has logged."""
        self.process.stdin.close()
        assert self.process.wait(timeout=WAIT_S) == 1, self.log.read_text()[-2000:]
        return self.log.read_text()


def python_recorder(cluster, address, name, program=None):
    command = [sys.executable, program or cluster.record_py, address, name]
    return Recorder(command, cluster.folder / f"{name.split('/')[-1]}.log", lambda x, y: f"{x!r} {y!r}\n")


def program_recorder(cluster, address, name):
    command = [WAYWISER, "record", "--server", f"http://{address}", "--name", name, "--format", "csv", "-"]
    recorder = Recorder(command, cluster.folder / f"{name.split('/')[-1]}.log", lambda x, y: f"{x!r},{y!r}\n")
    recorder.process.stdin.write("lon,lat\n")
    return recorder
