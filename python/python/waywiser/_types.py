"""Types of arguments."""

from __future__ import annotations

import datetime
from typing import Literal, TypeAlias, TypedDict

import numpy as np

Metric: TypeAlias = Literal["geodesic", "haversine", "planar"]
OnInvalid: TypeAlias = Literal["raise", "split", "skip"]
Preset: TypeAlias = Literal["walk", "run", "bike", "car", "boat", "flight", "phone"]
Period: TypeAlias = Literal["hour", "day", "week", "month", "year"]
Duration: TypeAlias = float | datetime.timedelta | np.timedelta64


class FilterOptions(TypedDict, total=False):
    """The options of measure() that by() has too. None is an option that is not set."""

    preset: Preset | None
    estimate: bool | None
    min_stop_time: Duration | None
    elevation_mode: Literal["ignored", "3d"] | None
    max_gap_time: Duration | None
    max_gap: float | None
    max_speed: float | None
    reanchor_count: int | None
    min_step: float | None
    max_accuracy: float | None
    reject_backward_time: bool | None
    reject_zero_position: bool | None
    reorder: int | None
    reorder_time: Duration | None
    drop_duplicates: bool | None
    stopped_speed: float | None
    min_climb: float | None
    climb_smoothing: Duration | None


class Options(FilterOptions, total=False):
    """The options of measure() and Fold."""

    trips: bool | None
    every: Period | None
    timezone: str | datetime.tzinfo | None
    keep_latest_windows: int | None
