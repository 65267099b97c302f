"""Conversion of times to nanoseconds since 1970, for the extension module."""

from __future__ import annotations

import datetime
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import arrow_array, check_dimensions, has_arrow, has_numpy_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The value of NaT.
_NAT = np.iinfo(np.int64).min
#: The range of times in seconds since 1970: the years 1678 to 2261.
_FIRST_S, _END_S = -9_214_560_000, 9_214_646_400
_NS_PER_S = 1_000_000_000
#: Nanoseconds per unit, for the units that are converted by multiplication.
_FACTORS = {"ns": 1, "us": 1000, "ms": 1_000_000, "s": _NS_PER_S}
#: Units per nanosecond, for finer units.
_DIVISORS = {"ps": 1000, "fs": 1_000_000, "as": _NS_PER_S}
_EXPECTED = "use datetime64, timestamps of pandas or Arrow, or numbers of seconds since 1970"


def unix_ns(values: Any, name: str) -> NDArray[np.int64]:
    """Return times as nanoseconds since 1970 in UTC. A missing time has the value of NaT.

    Accepts datetime64 of any unit (in UTC), series and indexes of pandas with or without a time zone, Arrow timestamps
    and dates, lists of datetime.datetime (without a time zone in UTC), and numbers of seconds since 1970.
    """
    # The memory of a field of packed records is not aligned.
    return np.require(_unix_ns(values, name), np.int64, "A")


def _unix_ns(values: Any, name: str) -> NDArray[np.int64]:
    if type(values) is np.ndarray:
        return _from_numpy(values, None, name)
    if isinstance(values, np.ma.MaskedArray):
        return _from_numpy(np.ma.getdata(values), np.ma.getmaskarray(values), name)
    if type(getattr(values, "dtype", None)).__name__ == "DatetimeTZDtype":
        pandas = sys.modules["pandas"]
        return _from_numpy(pandas.DatetimeIndex(values).tz_convert(None).to_numpy(), None, name)
    if has_arrow(values) and not has_numpy_dtype(values):
        return _from_arrow(values, name)
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be converted to an array: {error}") from error
    check_dimensions(array, values, name)
    return _from_numpy(array, None, name)


def _from_numpy(array: NDArray[Any], missing: NDArray[np.bool_] | None, name: str) -> NDArray[np.int64]:
    check_dimensions(array, array, name)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    kind = array.dtype.kind
    if missing is not None and array.size:
        # The values under a mask have no meaning, and may be out of range.
        array = np.where(missing, np.zeros(1, array.dtype), array)
    if kind == "M":
        times = _from_datetime64(array, name)
    elif kind == "f":
        times = _from_float_seconds(array.astype(np.float64, copy=False), name)
    elif kind in "iu":
        times = _from_units(_as_int64(array), _NS_PER_S, name, None)
    elif kind == "O" or array.size == 0:
        times = _from_objects(array, name)
    else:
        raise TypeError(f"{name} has the type {array.dtype}; {_EXPECTED}")
    return times if missing is None else np.where(missing, _NAT, times)


def _as_int64(array: NDArray[Any]) -> NDArray[np.int64]:
    """Return whole numbers as int64. Those that are too large stay out of the range of times."""
    if array.dtype == np.uint64:
        array = np.minimum(array, np.uint64(np.iinfo(np.int64).max))
    return array.astype(np.int64, copy=False)


def _from_datetime64(array: NDArray[Any], name: str) -> NDArray[np.int64]:
    unit, count = np.datetime_data(array.dtype)
    if unit == "generic":
        return np.full(len(array), _NAT)
    if count != 1:
        array = array.astype(f"datetime64[{unit}]")
    if unit in _DIVISORS:
        ticks = array.view(np.int64)
        return np.where(ticks == _NAT, _NAT, ticks // _DIVISORS[unit])
    if unit not in _FACTORS:
        # Years that do not fit into seconds are far out of the range.
        years = array.astype("datetime64[Y]").view(np.int64)
        _check((years < -2000) | (years > 2000), np.isnat(array), array, name)
        array, unit = array.astype("datetime64[s]"), "s"
    return _from_units(array.view(np.int64), _FACTORS[unit], name, _NAT)


def _from_units(ticks: NDArray[np.int64], factor: int, name: str, nat: int | None) -> NDArray[np.int64]:
    """Return nanoseconds of whole numbers of a unit, in which `nat` is missing."""
    per_s = _NS_PER_S // factor
    first, end = _FIRST_S * per_s, _END_S * per_s
    if not len(ticks) or (ticks.min() >= first and ticks.max() < end):
        return ticks if factor == 1 else ticks * factor
    outside = (ticks < first) | (ticks >= end)
    if outside.any():
        missing = ticks == nat if nat is not None else np.zeros(len(ticks), dtype=bool)
        _check(outside, missing, ticks // per_s, name)
        return np.where(missing, _NAT, np.where(missing, 0, ticks) * factor)
    return ticks * factor


def _from_float_seconds(seconds: NDArray[np.float64], name: str) -> NDArray[np.int64]:
    missing = np.isnan(seconds)
    _check(~((seconds >= _FIRST_S) & (seconds < _END_S)), missing, seconds, name)
    whole = np.floor(np.where(missing, 0.0, seconds))
    # The difference is exact, so that only the nanoseconds are rounded.
    nanoseconds = np.rint((np.where(missing, 0.0, seconds) - whole) * 1e9)
    times = whole.astype(np.int64) * _NS_PER_S + nanoseconds.astype(np.int64)
    return np.where(missing, _NAT, times) if missing.any() else times


def _check(outside: NDArray[np.bool_], missing: NDArray[np.bool_], values: NDArray[Any], name: str) -> None:
    """Raise the exception for the first value that is outside the range and not missing."""
    wrong = outside & ~missing
    if wrong.any():
        index = int(np.argmax(wrong))
        value = values[index]
        text = f"{value} s since 1970" if values.dtype.kind in "if" else str(value)
        raise ValueError(
            f"index {index}: {name} {text} is not in the years 1678 to 2261; numbers are seconds since 1970, "
            'and other units need a conversion such as values.astype("datetime64[ms]")'
        )


def _from_objects(array: NDArray[Any], name: str) -> NDArray[np.int64]:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    microsecond = datetime.timedelta(microseconds=1)
    times = np.empty(len(array), dtype=np.int64)
    for index, value in enumerate(array):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            times[index] = _NAT
        elif isinstance(value, datetime.datetime):
            aware = value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)
            ns = (aware - epoch) // microsecond * 1000 + getattr(value, "nanosecond", 0)
            times[index] = _checked(ns, index, value, name)
        elif isinstance(value, np.datetime64):
            times[index] = _from_datetime64(np.array([value]), f"index {index} of {name}")[0]
        elif isinstance(value, bool | np.timedelta64) or not isinstance(value, int | float | np.integer | np.floating):
            raise TypeError(f"{name}: index {index} is {value!r}, which is not a time; {_EXPECTED}")
        elif isinstance(value, int | np.integer):
            times[index] = _checked(int(value) * _NS_PER_S, index, f"{value} s since 1970", name)
        else:
            seconds = np.array([value], dtype=np.float64)
            times[index] = _from_float_seconds(seconds, f"index {index} of {name}")[0]
    return times


def _checked(ns: int, index: int, value: object, name: str) -> int:
    if not _FIRST_S * _NS_PER_S <= ns < _END_S * _NS_PER_S:
        raise ValueError(f"index {index}: {name} {value} is not in the years 1678 to 2261")
    return ns


def _from_arrow(values: Any, name: str) -> NDArray[np.int64]:
    import pyarrow as pa
    import pyarrow.types as types

    array = arrow_array(values)
    if isinstance(array, pa.ChunkedArray):  # without chunks
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.nulls(0, array.type)
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_null(array.type):
        return np.full(len(array), _NAT)
    if types.is_date(array.type):
        array = array.cast(pa.timestamp("s") if types.is_date32(array.type) else pa.timestamp("ms"))
    if types.is_timestamp(array.type):
        array, unit = array.cast(pa.int64()), array.type.unit
    elif types.is_integer(array.type) or types.is_floating(array.type):
        unit = None
    else:
        raise TypeError(f"{name} has the Arrow type {array.type}; {_EXPECTED}")
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    numbers = (array if missing is None else array.fill_null(0)).to_numpy(zero_copy_only=False)
    if unit is None:
        return _from_numpy(numbers, missing, name)
    times = _from_units(numbers, _FACTORS[unit], name, None)
    return times if missing is None else np.where(missing, _NAT, times)
