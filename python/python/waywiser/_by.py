"""The lengths of many paths by key, and by time."""

from __future__ import annotations

import contextlib
import datetime
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from . import _waywiser
from ._arrays import (
    arrow_array,
    arrow_chunks,
    check_dimensions,
    comparable,
    encoded,
    has_arrow,
    has_numpy_dtype,
    without_views,
)
from ._types import FilterOptions, Metric, OnInvalid, Period

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

#: A whole number that is missing.
_MISSING = np.iinfo(np.int64).min


def by(
    key: Any,
    time: Any,
    lon: Any,
    lat: Any,
    *,
    every: Period | None = None,
    timezone: str | datetime.tzinfo | None = "UTC",
    elevation: Any = None,
    accuracy: Any = None,
    metric: Metric = "geodesic",
    on_invalid: OnInvalid = "raise",
    threads: int | None = 1,
    statistics: bool = False,
    **options: Unpack[FilterOptions],
) -> pa.Table:
    """Measure the path of each key, such as a device, from the rows of a table.

    The rows of a key may be anywhere. They are put in the order of their times;
    those with equal times keep their order, and a row without a time stays
    after the row of its key before it. The results have the same bits as those
    of measure() for the rows of one key.

    Parameters
    ----------
    key : array_like
        The key of each row: of any type that Arrow can encode as a dictionary.
        Missing keys are a key of their own; NaN is missing. 0.0 and -0.0 are
        one key, as in pandas.
    time : array_like or None
        The time of each row, as for measure(). None is for paths without times:
        the order of the rows counts.
    lon, lat : array_like
        Longitudes and latitudes, as for length().
    every : {"hour", "day", "week", "month", "year"}, optional
        Divide the lengths by time. A leg that crosses a boundary is divided in
        proportion to time, so that the lengths of a key sum to the length of
        its path, exactly and in any order.
    timezone : str or datetime.tzinfo, optional
        The time zone of the boundaries and of the times in the result: a name
        such as "Europe/Ljubljana", an offset such as "+02:00", a
        zoneinfo.ZoneInfo or a datetime.timezone. The package has its own copy
        of the IANA database.
    elevation, accuracy : array_like, optional
        As for measure().
    metric, on_invalid
        See length().
    threads : int or None
        The number of threads; None is one for each processor.
    statistics : bool
        Whether the rows of keys have times, speeds, ascent and stops too. It
        takes longer. It cannot be combined with `every`.
    **options
        The options of measure(), except trips and keep_latest_windows. An
        option without an effect on the columns of the result is an error:
        estimate and min_stop_time with `every`; elevation_mode="3d",
        stopped_speed, min_climb and climb_smoothing without statistics=True.

    Returns
    -------
    pyarrow.Table
        The keys are in the order of their first rows. Without `every` there is
        a row for each key: key, start and end (the earliest and the latest time
        of its rows), length_m, point_count, accepted_count, raw_length_m,
        estimated_length_m, estimated_length_low_m, estimated_length_high_m; and
        with statistics=True segment_count, length_3d_m, gap_length_m,
        elapsed_s, moving_s, max_speed_mps, ascent_m, descent_m, stop_count,
        stopped_s. See Summary. Values that are not available are null.
        With `every` there is a row for each key and window: key, start and end
        of the window, length_m, point_count (of accepted points). Windows
        without a point and without a length have no row. If points have no
        time, the last row of a key has no start and no end, and has the length
        of the legs between such points.
        Times are in microseconds, rounded down. With metric="planar" the names
        have no _m and _mps.

    Raises
    ------
    ValueError
        A value is not valid; the message has the index of the row or the name
        of the argument. Or a path has more than 100 000 windows, or an option
        has no effect on the result.
    TypeError
        An argument is unknown or has a wrong type.

    Examples
    --------
    >>> import waywiser as ww
    >>> table = ww.by(["a", "b", "a"], [0, 0, 60], [13.0, 14.0, 13.1], [46.0, 46.0, 46.0])
    >>> table.select(["key", "length_m"]).to_pylist()
    [{'key': 'a', 'length_m': 7744.083...}, {'key': 'b', 'length_m': 0.0}]
    """
    import pyarrow as pa

    zone = "UTC" if timezone is None else _waywiser.time_zone(timezone)
    _check_effects(every, statistics, options)
    given: dict[str, Any] = dict(options)
    if every is not None:
        given |= {"every": every, "timezone": zone}
    keys, groups = _groups(key)
    columns = _waywiser.lengths_by(
        groups,
        len(keys),
        time,
        lon,
        lat,
        elevation=elevation,
        accuracy=accuracy,
        metric=metric,
        on_invalid=on_invalid,
        threads=threads,
        statistics=statistics,
        options=given,
    )
    arrays: dict[str, Any] = {}
    for name, (is_float, data) in columns.items():
        if is_float:
            arrays[name] = pa.array(np.frombuffer(data, dtype=np.float64), from_pandas=True)
            continue
        numbers = np.frombuffer(data, dtype=np.int64)
        if name == "group":
            arrays["key"] = keys.take(pa.array(numbers))
            continue
        array = pa.array(numbers, mask=numbers == _MISSING)
        arrays[name] = array.cast(pa.timestamp("us", tz=zone)) if name in ("start", "end") else array
    return pa.table(arrays)


#: Options that change no column of the lengths by window, and those that change only statistics.
_OF_PATHS = ("estimate", "min_stop_time")
_OF_STATISTICS = ("elevation_mode", "stopped_speed", "min_climb", "climb_smoothing")


def _check_effects(every: str | None, statistics: bool, options: FilterOptions) -> None:
    """Refuse options that change no column of the result."""
    given = {name for name, value in options.items() if not (value is None or _is_off(value))}
    if every is not None:
        if statistics:
            raise ValueError("statistics=True cannot be combined with every; call by() once with each")
        for name in (*_OF_PATHS, *_OF_STATISTICS):
            if name in given:
                raise ValueError(f"{name} has no effect with every; call by() without every for this result")
    elif not statistics:
        for name in _OF_STATISTICS:
            if name in given:
                raise ValueError(f"{name} has no effect without statistics=True")


def _is_off(value: Any) -> bool:
    return value == "ignored" if isinstance(value, str) else isinstance(value, bool | np.bool_) and not value


def _check_dimensions(key: Any) -> None:
    """Check that there is one key for each row."""
    dimensions: int | None = None
    with contextlib.suppress(ValueError):  # of sequences of different lengths
        dimensions = np.ndim(key)
    if dimensions == 0:
        check_dimensions(np.asarray(key), key, "key")
    if dimensions != 1:
        raise ValueError("key must have one dimension: one value for each row")


def _too_large(key: Any) -> ValueError:
    """Return the exception for whole numbers that do not fit into 64 bits."""
    advice = "does not fit into 64 bits; use texts for such numbers"
    for index, value in enumerate(key):
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            return ValueError(f"index {index}: key {value} {advice}")
    return ValueError(f"key: a number {advice}")


def _groups(key: Any) -> tuple[pa.Array, NDArray[np.int32]]:
    """Return the distinct keys in the order of their first rows, and the number of the key of each row."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    if has_arrow(key) and not has_numpy_dtype(key):
        array = arrow_chunks(key)
    else:
        _check_dimensions(key)
        if not getattr(getattr(key, "dtype", None), "isnative", True):
            key = key.astype(key.dtype.newbyteorder("="))
        try:
            array = pa.array(key, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise TypeError(f"key cannot be converted to an Arrow array: {error}") from error
        except OverflowError as error:
            raise _too_large(key) from error
    if types.is_int64(array.type) or types.is_int32(array.type):
        numbers = np.require(array.to_numpy(), requirements="A") if array.null_count == 0 else None
        found = None if numbers is None else _waywiser.group_integers(numbers)
        if found is not None:
            distinct = pa.array(np.frombuffer(found[1], dtype=np.int64)).cast(array.type)
            return distinct, np.frombuffer(found[0], dtype=np.int32)
    array = comparable(without_views(array))
    values = None
    if types.is_dictionary(array.type):
        array = arrow_array(array)
        # The values of a dictionary may repeat and have nulls.
        codes, values = encoded(comparable(without_views(array.dictionary)))
        array = pa.array(codes).take(array.indices)
        null = values.is_null().index(True).as_py()
        if null >= 0:
            array = pc.if_else(pc.equal(array, null), None, array)
    try:
        codes, distinct = encoded(array)
    except pa.ArrowNotImplementedError:
        raise TypeError(
            f"key has the Arrow type {array.type}, whose values cannot be compared; use numbers or texts"
        ) from None
    return distinct if values is None else values.take(distinct), codes
