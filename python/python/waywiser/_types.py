"""Types of arguments."""

from __future__ import annotations

from typing import Literal, TypeAlias

Metric: TypeAlias = Literal["geodesic", "haversine", "planar"]
OnInvalid: TypeAlias = Literal["raise", "split", "skip"]
