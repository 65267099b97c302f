"""Processes that a test runs, on ports of their own."""

import socket
import subprocess


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


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
