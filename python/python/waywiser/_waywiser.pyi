from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._summary import Summary
from ._types import Metric, OnInvalid

def length(
    lon: Any,
    lat: Any,
    *,
    metric: Metric = "geodesic",
    on_invalid: OnInvalid = "raise",
    threads: int | None = 1,
) -> float: ...
def legs(
    lon: Any,
    lat: Any,
    *,
    metric: Metric = "geodesic",
    on_invalid: OnInvalid = "raise",
    threads: int | None = 1,
) -> NDArray[np.float64]: ...
def ragged_lengths(
    lon: Any,
    lat: Any,
    part_offsets: NDArray[Any],
    line_offsets: NDArray[Any] | None,
    *,
    metric: Metric,
    on_invalid: OnInvalid,
    threads: int | None,
) -> NDArray[np.float64]: ...

class RecordingError(Exception):
    """A recording failed."""

class RecorderCore:
    def __init__(
        self,
        url: str,
        name: str,
        connection: dict[str, Any],
        retry_for: float,
        buffer_points: int,
        has_bell: bool,
        metric: str,
        on_invalid: str,
        options: dict[str, Any],
    ) -> None: ...
    @property
    def bell(self) -> int | None: ...
    @property
    def version(self) -> int: ...
    @property
    def sent_points(self) -> int: ...
    @property
    def committed_points(self) -> int: ...
    def push_one(self, lon: float, lat: float, time: int, elevation: float, accuracy: float) -> bool: ...
    def check(self, lon: Any, lat: Any, time: Any, elevation: Any, accuracy: Any) -> None: ...
    def push(self, lon: Any, lat: Any, time: Any, elevation: Any, accuracy: Any, start: int, /) -> int: ...
    def end(self) -> None: ...
    def is_finished(self) -> bool: ...
    def result(self) -> Summary | None: ...
    def abort(self) -> bool: ...
    def wait(self, seen: int, seconds: float) -> None: ...
    def take_events(self) -> list[tuple[str, int | None, float | None, str | None]]: ...

def measure_track(
    lon: Any,
    lat: Any,
    time: Any,
    elevation: Any,
    accuracy: Any,
    segment: Any,
    invalid_offsets: Any,
    metric: str,
    on_invalid: str,
    options: dict[str, Any],
) -> Summary: ...
def read_files(source: Any, name: str, is_found: bool, options: dict[str, Any]) -> list[dict[str, Any]]: ...
