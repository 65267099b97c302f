"""Processes that a test runs, on ports of their own."""

import socket
import subprocess


# These sockets reserve ports until the end of the test: a port is not assigned to another socket, and connections to it
# fail until a server listens there.
RESERVED = []


def free_port():
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    RESERVED.append(reserved)
    return reserved.getsockname()[1]


class Process:
    """A process in the foreground, in a session of its own. Its output goes to a file."""

    def __init__(self, log):
        self.log = log
        self.process = None

    def start(self, command, **options):
        with open(self.log, "ab") as log:
            files = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            command = [str(part) for part in command]
            self.process = subprocess.Popen(command, start_new_session=True, **{**files, **options})

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """Ends the process without any preparation."""
        if self.is_running():
            self.process.kill()
            self.process.wait()
