import datetime
from typing import Any, Unpack, final

import numpy as np
from numpy.typing import NDArray

from ._summary import Summary
from ._types import Metric, OnInvalid, Options

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
    def __eq__(self, other: object) -> bool: ...
    @property
    def length(self) -> float: ...
    @property
    def length_m(self) -> float: ...
    @property
    def point_count(self) -> int: ...
    def summary(self) -> Summary: ...
