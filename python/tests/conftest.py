"""Settings of all tests."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A shell ignores SIGINT in a background job, and so would the processes that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The machines of CI are shared, so that a limit of time would fail at random.
settings.register_profile("waywiser", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("waywiser")


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A URL where no server is. The port is reserved, so that no other process gets it."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"
