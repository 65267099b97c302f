from typing import Any

import numpy as np
from numpy.typing import NDArray

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
