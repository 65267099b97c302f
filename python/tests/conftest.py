"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# The machines of CI are shared, so that a limit of time would fail at random.
settings.register_profile("waywiser", deadline=None, max_examples=50)
settings.load_profile("waywiser")
