"""Checks and conversions of the arguments of recorders."""

from __future__ import annotations

import contextlib
import datetime
import os
import reprlib
from typing import Any

import numpy as np

from . import _arrays, _times

#: The maximum of buffer_points.
_BUFFER_POINTS_MAX = 1_000_000_000
#: The value of NaT.
_NAT = int(np.iinfo(np.int64).min)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
#: The types of missing values of pandas.
_MISSING = ("NAType", "NaTType")


def check_type(name: str, value: object, types: Any, expected: str) -> None:
    """Raise TypeError if a value has none of the types. The message does not show the value, which may be secret."""
    if not isinstance(value, types):
        raise TypeError(f"{name} has the type {type(value).__name__}; use {expected}")


def check_pem(name: str, value: object) -> None:
    """Raise an exception if a value is neither the path of a PEM file nor its content. The message does not show it."""
    check_type(name, value, str | os.PathLike | bytes | None, "the path of a PEM file, or its content as bytes")
    if isinstance(value, str) and ("-----BEGIN" in value or "\n" in value):
        raise ValueError(f"{name} is PEM text of the type str; use bytes, or the path of a file")


def seconds(retry_for: Any) -> float:
    """Return the argument retry_for in seconds."""
    if isinstance(retry_for, datetime.timedelta):
        return retry_for.total_seconds()
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        if isinstance(retry_for, np.timedelta64):
            return float(retry_for / np.timedelta64(1, "s"))
        if is_number(retry_for):
            return float(retry_for)
    raise TypeError(f"retry_for is {shown(retry_for)}; use a number of seconds, or a timedelta")


def checked_buffer_points(buffer_points: Any) -> int:
    """Return the argument buffer_points, if it is valid."""
    if not is_number(buffer_points) or isinstance(buffer_points, float | np.floating):
        raise TypeError(f"buffer_points is {shown(buffer_points)}; use a whole number")
    if not 1 <= buffer_points <= _BUFFER_POINTS_MAX:
        raise ValueError(f"buffer_points is {buffer_points}; use 1 to {_BUFFER_POINTS_MAX}")
    return int(buffer_points)


def shown(value: object) -> str:
    """Return a short text of a value for a message."""
    return reprlib.repr(value) if is_scalar(value) else f"of the type {type(value).__name__}"


def is_scalar(value: Any) -> bool:
    """Return whether a value is not an array. A str is a scalar, so that messages show it."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0
    return isinstance(value, float | int | str | bytes) or not (hasattr(value, "__len__") or _arrays.has_arrow(value))


def is_number(value: Any) -> bool:
    """Return whether a value is a number. A duration of numpy is not a number here, although numpy treats it as one."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool | np.timedelta64)


def number(value: Any, name: str) -> float:
    """Return a number, or NaN if it is missing."""
    if value is None or type(value).__name__ in _MISSING:
        return np.nan
    if not is_scalar(value):
        raise TypeError(f"{name} is {shown(value)}, and lon is one number; pass one number, or arrays for all")
    if not isinstance(value, str | bytes | bool | np.bool_ | np.timedelta64 | np.datetime64):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            return float(value)
    raise TypeError(f"{name} is {shown(value)}, which is not a number")


def coordinate(value: Any, name: str, is_planar: bool) -> float:
    """Return a coordinate as a number, or NaN if it is missing."""
    if not is_planar and isinstance(value, np.ndarray | np.generic) and value.dtype == np.int32:
        # An array of this type has another unit than a number.
        raise TypeError(f"{name} is one number of int32, whose unit is not known; use float(degrees), or an array")
    return number(value, name)


def scalar_time(time: Any) -> int:
    """Return a time as nanoseconds since 1970."""
    if time is None:
        return _NAT
    if type(time) is datetime.datetime:
        aware = time if time.tzinfo is not None else time.replace(tzinfo=datetime.UTC)
        ns = (aware - _EPOCH) // _MICROSECOND * 1000
        if abs(ns) < 1 << 63:
            return ns
    if not is_scalar(time):
        raise TypeError(f"time is {shown(time)}, and lon is one number; pass one time, or arrays for all")
    try:
        return int(_times.unix_ns([time], "time")[0])
    except TypeError:
        raise TypeError(
            f"time is {shown(time)}, which is not a time; use a datetime, a datetime64, a timestamp of pandas, "
            "or a number of seconds since 1970"
        ) from None
    except ValueError as error:
        raise ValueError(str(error).removeprefix("index 0: ").removeprefix("index 0 of ")) from None
