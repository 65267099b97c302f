import datetime
from typing import Any, Unpack, final

import numpy as np
from numpy.typing import NDArray

from ._summary import Summary
from ._types import Metric, OnInvalid, Options

__version__: str

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
def measure(
    lon: Any,
    lat: Any,
    *,
    time: Any = None,
    elevation: Any = None,
    accuracy: Any = None,
    metric: Metric = "geodesic",
    on_invalid: OnInvalid = "raise",
    **options: Unpack[Options],
) -> Summary: ...
def lengths_by(
    groups: NDArray[np.int32],
    group_count: int,
    time: Any,
    lon: Any,
    lat: Any,
    *,
    elevation: Any,
    accuracy: Any,
    metric: Metric,
    on_invalid: OnInvalid,
    threads: int | None,
    statistics: bool,
    options: dict[str, Any],
) -> dict[str, tuple[bool, bytes]]: ...
def group_integers(keys: NDArray[Any]) -> tuple[bytes, bytes] | None: ...
def time_zone(timezone: str | datetime.tzinfo) -> str: ...

@final
class Fold:
    def __new__(
        cls,
        *,
        metric: Metric = "geodesic",
        on_invalid: OnInvalid = "raise",
        **options: Unpack[Options],
    ) -> Fold: ...
    def extend(self, lon: Any, lat: Any, *, time: Any = None, elevation: Any = None, accuracy: Any = None) -> None: ...
    def end_segment(self) -> None: ...
    def merge(self, other: Fold, *, joined: bool = True) -> None: ...
    def __bytes__(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes | bytearray | memoryview) -> Fold: ...
    def copy(self) -> Fold: ...
    def __copy__(self) -> Fold: ...
    def __deepcopy__(self, memo: Any) -> Fold: ...
    def __eq__(self, other: object, /) -> bool: ...
    @property
    def length(self) -> float: ...
    @property
    def length_m(self) -> float: ...
    @property
    def point_count(self) -> int: ...
    def summary(self) -> Summary: ...

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
        has_wakeup_fd: bool,
        metric: str,
        on_invalid: str,
        options: dict[str, Any],
    ) -> None: ...
    @property
    def wakeup_fd(self) -> int | None: ...
    @property
    def version(self) -> int: ...
    @property
    def sent_points(self) -> int: ...
    @property
    def committed_points(self) -> int: ...
    def is_durable(self, points: int, /) -> bool: ...
    def push_one(self, lon: float, lat: float, time: int, elevation: float, accuracy: float) -> bool: ...
    def check(self, lon: Any, lat: Any, time: Any, elevation: Any, accuracy: Any) -> None: ...
    def start_array(self) -> None: ...
    def end_array(self) -> None: ...
    def push(self, lon: Any, lat: Any, time: Any, elevation: Any, accuracy: Any, start: int, /) -> tuple[int, bool]: ...
    def flush(self, points: int) -> None: ...
    def end(self) -> None: ...
    @property
    def is_ended(self) -> bool: ...
    @property
    def is_running(self) -> bool: ...
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
    given: dict[str, Any],
) -> Summary: ...
def check_read_options(options: dict[str, Any]) -> None: ...
def read_files(source: Any, name: str, file: str, is_found: bool, options: dict[str, Any]) -> list[dict[str, Any]]: ...
