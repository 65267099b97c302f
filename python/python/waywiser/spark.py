"""Lengths on a cluster: PySpark 4, classic and Spark Connect, and servers of Spark Connect such as Sail.

The lengths have the same bits as those of length() for the points of a key in order, for any partitioning.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from ._arrays import coordinates, encoded, without_views
from ._types import FilterOptions, Metric, OnInvalid, Period
from ._waywiser import Fold

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType

__all__ = ["by", "lengths"]

#: The number of rows that are put in order at once.
_CHUNK = 1 << 20
#: The names of the columns of a state that put its first and its last row in order.
_ENDS = ("first", "last")
#: The largest number of keys and runs whose states are in memory at the same time.
_CURRENT_MAX = 1 << 16


def lengths(
    df: DataFrame,
    *,
    key: str | Sequence[str],
    order: str | Sequence[str],
    lon: str = "lon",
    lat: str = "lat",
    runs: str | Column | None = None,
    presorted: bool = False,
    metric: Metric = "geodesic",
    on_invalid: OnInvalid = "raise",
    on_overlap: Literal["raise", "shuffle"] = "raise",
) -> DataFrame:
    """Return the length of the path of each key, such as a device.

    Each partition is sorted, and only states of about 200 bytes are sent
    between machines: one for each run, which is the rows of a key in one
    partition. The states of a key are merged in the order of their first rows,
    with the legs between them. This is possible if no row of a key is between
    two rows of another run of this key. It is so if the table is divided by key
    or by time.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        The points, in any order.
    key : str or sequence of str
        The columns whose values name a path. Null is a key of its own.
    order : str or sequence of str
        The columns that put the points of a key in order: times or numbers.
        Points with equal values are ordered by longitude, then by latitude, so
        that the result does not depend on the partitioning; add a sequence
        number if their order matters.
    lon, lat : str
        Columns of longitudes and latitudes, as for length(). Null and NaN are
        missing.
    runs : str or Column, optional
        Divides the rows of a key in a partition into more than one run, for
        example `F.to_date("time")`. Use it if a partition has several parts of
        the time of a key, but not those in between: for example several files
        of a day.
    presorted : bool
        Whether the rows of each key are in order in each partition, as in files
        that are written in order of time. The partitions are then not sorted,
        which takes most of the time. If the rows are not in order, the runs
        overlap.
    metric, on_invalid
        See length().
    on_overlap : {"raise", "shuffle"}
        For keys with runs that overlap in time: the job fails with the name of
        the key, or the points of such keys, and of no others, are sent between
        machines. The latter runs a job that finds these keys before the
        function returns, and reads the table three times in all. The driver
        collects these keys and sends them to all workers, so they must fit into
        the memory of each. For rows that are divided at random, these are all
        keys.

    Returns
    -------
    pyspark.sql.DataFrame
        The columns of the key, length_m (length with metric="planar"), and
        point_count, which includes invalid points.

    Raises
    ------
    ValueError
        When the job runs: a position is invalid (see on_invalid), a value of
        `order` is missing, or runs overlap. Warnings, such as that of swapped
        coordinates, are in the logs of the workers.
    TypeError
        A column of `order` has another type than numbers, dates and times.

    Examples
    --------
    >>> from waywiser.spark import lengths
    >>> lengths(spark.read.parquet("points/"), key="device", order="time").show()  # doctest: +SKIP
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import BinaryType, BooleanType, DoubleType, LongType, StructField, StructType

    if on_overlap not in ("raise", "shuffle"):
        raise ValueError(f"on_overlap {on_overlap!r} is unknown; use raise or shuffle")
    Fold(metric=metric, on_invalid=on_invalid)  # checks the arguments before a job starts
    keys = _names(key, "key")
    orders = _names(order, "order")
    # A position that misses one coordinate is missing, so that it is always after the others with the same time.
    xy = [F.col(_quote(name)) for name in (lon, lat)]
    is_missing = functools.reduce(lambda a, b: a | b, [c.isNull() | F.isnan(c.cast("double")) for c in xy])
    key_fields = [F.col(_quote(name)).alias(f"k{i}") for i, name in enumerate(keys)]
    run = F.lit(0) if runs is None else F.col(_quote(runs)) if isinstance(runs, str) else runs
    points = df.select(
        *key_fields,
        run.alias("run"),
        *(F.col(_quote(name)).alias(f"o{i}") for i, name in enumerate(orders)),
        *(F.when(~is_missing, c).alias(name) for c, name in zip(xy, "xy")),
    )
    group = [f"k{i}" for i in range(len(keys))]
    sort = [F.col(name).asc_nulls_last() for name in points.columns]
    options = {"metric": metric, "on_invalid": on_invalid}

    group_fields = [points.schema[name] for name in group]
    is_float = [_is_float(points.schema[f"o{i}"].dataType, name) for i, name in enumerate(orders)]
    place = [DoubleType() if each else LongType() for each in [*is_float, True, True]]
    places = [StructField(f"{end}{i}", kind) for end in _ENDS for i, kind in enumerate(place)]
    state = StructType([*group_fields, *places, StructField("fold", BinaryType())])
    length_name = "length" if metric == "planar" else "length_m"
    result_fields = [StructField(length_name, DoubleType()), StructField("point_count", LongType())]
    result = StructType([*group_fields, *result_fields])
    flagged = StructType([*result.fields, StructField("overlaps", BooleanType())])
    named = [F.col(g).alias(name) for g, name in zip(group, keys)] + [F.col(f.name) for f in result_fields]

    # PySpark reads the type hints of functions, but not of lambda expressions.
    def merged(points: DataFrame, is_strict: bool) -> DataFrame:
        in_order = points if presorted else points.sortWithinPartitions(*sort)
        partials = in_order.mapInArrow(lambda batches: _partials(batches, keys, orders, options), state)
        # A call for each partition instead of each key, which would cost more than the merge.
        return partials.repartition(*group).mapInArrow(
            lambda batches: _merge(batches, keys, orders, length_name, is_strict), flagged
        )

    if on_overlap == "raise":
        return merged(points, True).select(*named)
    # The keys are collected, because a table of them that an engine computes twice could differ between the two joins.
    # The other keys are checked again, because an engine may divide a table in another way when it reads it again.
    found = merged(points, False).where("overlaps").select(*group).collect()
    if not found:
        return merged(points, True).select(*named)
    renamed = StructType([StructField(f"other_{field.name}", field.dataType) for field in group_fields])
    overlapping = F.broadcast(df.sparkSession.createDataFrame(found, renamed))
    same = functools.reduce(lambda a, b: a & b, [F.col(name).eqNullSafe(F.col(f"other_{name}")) for name in group])
    shuffled = (
        points.join(overlapping, same, "left_semi")
        .groupBy(*group)
        .applyInArrow(lambda table: _whole(table, keys, orders, options, length_name), result)
    )
    others = merged(points.join(overlapping, same, "left_anti"), True)
    return others.select(*named).unionByName(shuffled.select(*named))


def by(
    df: DataFrame,
    *,
    key: str,
    time: str,
    lon: str = "lon",
    lat: str = "lat",
    elevation: str | None = None,
    accuracy: str | None = None,
    every: Period | None = None,
    timezone: str = "UTC",
    metric: Metric = "geodesic",
    on_invalid: OnInvalid = "raise",
    statistics: bool = False,
    **options: Unpack[FilterOptions],
) -> DataFrame:
    """Measure the path of each key, as waywiser.by() does: with filters,
    estimates, and lengths per day or month.

    All points of a key are sent to one machine and must fit into its memory.
    Points with equal times are ordered by longitude, latitude, elevation and
    accuracy, so that the result does not depend on the partitioning. Points
    without a time come last.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        The points, in any order.
    key, time, lon, lat, elevation, accuracy : str
        Names of columns; see waywiser.by().
    every, timezone, metric, on_invalid, statistics, **options
        See waywiser.by(). Each key is measured in one thread.

    Returns
    -------
    pyspark.sql.DataFrame
        The columns of the table of waywiser.by(), with the name of `key` for
        the key.

    Raises
    ------
    ValueError
        When the job runs: see waywiser.by().
    TypeError
        An argument is unknown or has a wrong type.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

    from ._by import by as table_by

    for name in options.keys() & (table_by.__kwdefaults__ or {}).keys():
        raise TypeError(f"{name} is not an argument of waywiser.spark.by")
    sources = {"key": key, "time": time, "lon": lon, "lat": lat, "elevation": elevation, "accuracy": accuracy}
    points = df.select(*(F.col(_quote(source)).alias(name) for name, source in sources.items() if source is not None))
    given: dict[str, Any] = {
        "every": every,
        "timezone": timezone,
        "metric": metric,
        "on_invalid": on_invalid,
        "statistics": statistics,
        **options,
    }
    # An empty table has the types of the result, and checks the options before a job starts.
    empty = _by(to_arrow_schema(points.schema).empty_table(), given)
    schema = from_arrow_schema(empty.schema, prefer_timestamp_ntz=False)
    result = points.groupBy("key").applyInArrow(lambda table: _by(table, given), schema)
    return result.withColumnRenamed("key", key)


def _by(table: pa.Table, options: dict[str, Any]) -> pa.Table:
    """Measure the points of some keys."""
    import pyarrow as pa

    from ._by import by as table_by

    names = ("time", "lon", "lat", "elevation", "accuracy")
    table = _without_views(table).sort_by([(name, "ascending") for name in names if name in table.column_names])
    optional = {name: table[name] for name in ("elevation", "accuracy") if name in table.column_names}
    found = table_by(table["key"], table["time"], table["lon"], table["lat"], **optional, **options)
    for index, field in enumerate(found.schema):
        if pa.types.is_timestamp(field.type):  # the type of times in Spark
            found = found.set_column(index, field.name, found.column(index).cast(pa.timestamp("us", "UTC")))
    return found


def _names(names: str | Sequence[str], argument: str) -> list[str]:
    found = [names] if isinstance(names, str) else list(names)
    if not found or not all(isinstance(name, str) for name in found):
        raise TypeError(f"{argument} must be the name of a column, or a sequence of such names")
    return found


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _is_float(kind: DataType, name: str) -> bool:
    """Return whether the values of a column of order are floating-point numbers. The others are whole numbers."""
    from pyspark.sql import types as t

    if isinstance(kind, t.FloatType | t.DoubleType):
        return True
    if isinstance(kind, t.IntegralType | t.DateType | t.TimestampType | t.TimestampNTZType | t.DayTimeIntervalType):
        return False
    raise TypeError(f"column {name} of order has the type {kind.simpleString()}; use times or numbers")


class _Run:
    """Consecutive rows of a key: the values that put the first and the last one in order, and the state."""

    __slots__ = ("first", "fold", "keys", "last")

    def __init__(self, keys: tuple[Any, ...], first: tuple[Any, ...], last: tuple[Any, ...], fold: Fold) -> None:
        self.keys, self.first, self.last, self.fold = keys, first, last, fold


def _partials(
    batches: Iterable[pa.RecordBatch], keys: list[str], orders: list[str], options: dict[str, Any]
) -> Iterator[pa.RecordBatch]:
    """Return the states of the runs of a partition."""
    names = [f"k{i}" for i in range(len(keys))]
    key_types: list[pa.DataType] = []
    current: dict[tuple[str, ...], _Run] = {}
    for table in _chunks(batches):
        key_types = [table.schema.field(name).type for name in names]
        ended = []
        for identity, values, first, last, x, y in _runs(table, keys, orders, options):
            run = current.get(identity)
            if run is None or run.last > first:
                if run is not None:
                    ended.append(run)
                run = current[identity] = _Run(values, first, last, Fold(**options))
            run.last = last
            _extend(run.fold, x, y, keys, values, orders)
        if len(current) > _CURRENT_MAX:
            ended += current.values()
            current.clear()
        if ended:
            yield _batch(ended, names, key_types)
    if current:
        yield _batch(list(current.values()), names, key_types)


def _extend(
    fold: Fold,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    keys: list[str],
    values: tuple[Any, ...],
    orders: list[str],
) -> None:
    """Append points to the state of a run."""
    try:
        fold.extend(x, y)
    except ValueError as error:
        after = f" after its first {fold.point_count} points" if fold.point_count else ""
        key = _key(keys, values)
        raise ValueError(f"{key}: {error}, of the rows of a run in the order of {orders}{after}") from None


def _batch(runs: list[_Run], names: list[str], key_types: list[pa.DataType]) -> pa.RecordBatch:
    import pyarrow as pa

    columns = {
        name: pa.array([run.keys[i] for run in runs], kind) for i, (name, kind) in enumerate(zip(names, key_types))
    }
    for end, places in zip(_ENDS, ([run.first for run in runs], [run.last for run in runs])):
        columns |= {f"{end}{i}": pa.array(values) for i, values in enumerate(zip(*places))}
    columns["fold"] = pa.array([bytes(run.fold) for run in runs], pa.binary())
    return pa.RecordBatch.from_pydict(columns)


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Return tables of about _CHUNK rows."""
    import pyarrow as pa

    chunk: list[pa.RecordBatch] = []
    for batch in batches:
        if batch.num_rows:
            chunk.append(batch)
        if sum(batch.num_rows for batch in chunk) >= _CHUNK:
            yield _without_views(pa.Table.from_batches(chunk))
            chunk = []
    if chunk:
        yield _without_views(pa.Table.from_batches(chunk))


def _without_views(table: pa.Table) -> pa.Table:
    """Return a table with texts and bytes of the types that Spark has. Sail reads those of Parquet files as views."""
    for index, field in enumerate(table.schema):
        column = table.column(index)
        plain = without_views(column, large=False)
        if plain is not column:
            table = table.set_column(index, field.name, plain)
    return table


def _runs(
    table: pa.Table, keys: list[str], orders: list[str], options: dict[str, Any]
) -> Iterator[
    tuple[tuple[str, ...], tuple[Any, ...], tuple[Any, ...], tuple[Any, ...], NDArray[np.float64], NDArray[np.float64]]
]:
    """Return the runs of a table: an identity, the values of the key, those that put the first and the last row in order,
    and the positions.

    The engine may have sorted the rows. This is not required.
    """
    names = [f"k{i}" for i in range(len(keys))]
    columns = [_encoded(table[name]) for name in [*names, "run"]]
    values = [_numbers(table, f"o{i}", name, keys) for i, name in enumerate(orders)]
    planar = options["metric"] == "planar"
    x, y = (_degrees(c, planar) for c in coordinates(table["x"], table["y"], ("lon", "lat"), planar))
    values += [np.where(np.isnan(c), np.inf, c) for c in (x, y)]
    codes = _combined([codes for codes, _ in columns])
    order = _order(codes, values)
    if order is not None:
        codes, x, y = codes[order], x[order], y[order]
        values = [column[order] for column in values]
    starts = np.concatenate([[0], np.flatnonzero(codes[1:] != codes[:-1]) + 1])
    ends = np.append(starts[1:], len(x))
    rows = starts if order is None else order[starts]
    found = [[unique[code] for code in codes[rows].tolist()] for codes, unique in columns]
    identities = zip(*(map(repr, column) for column in found))
    firsts, lasts = (zip(*(column[at].tolist() for column in values)) for at in (starts, ends - 1))
    for identity, key, first, last, start, end in zip(
        identities, zip(*found[:-1]), firsts, lasts, starts.tolist(), ends.tolist()
    ):
        yield identity, key, first, last, x[start:end], y[start:end]


def _encoded(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[Any]]:
    """Return a number for each value, and the values of the numbers. Equal values have equal numbers."""
    codes, values = encoded(_without_negative_zero(column))
    return codes, values.to_pylist()


def _without_negative_zero(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return keys with 0.0 for -0.0, which is equal to it."""
    import pyarrow.compute as pc
    import pyarrow.types as types

    return pc.add(keys, pc.cast(0.0, keys.type)) if types.is_floating(keys.type) else keys


def _combined(codes: list[NDArray[np.int32]]) -> NDArray[Any]:
    """Return a number for each combination of numbers. Combinations that are not equal have different numbers."""
    combined, count = codes[0], int(codes[0].max()) + 1
    for column in codes[1:]:
        size = int(column.max()) + 1
        if size == 1:
            continue
        # Each factor is at most the number of rows, which is far below 2**31.
        both = combined.astype(np.int64) * size + column
        combined, count = (both, count * size) if count * size < 1 << 16 else _renumbered(both)
    # numpy sorts numbers of 16 bits several times as fast.
    return combined.astype(np.uint16) if count <= 1 << 16 else combined


def _renumbered(numbers: NDArray[np.int64]) -> tuple[NDArray[Any], int]:
    """Return consecutive numbers for equal numbers, and their count."""
    unique, inverse = np.unique(numbers, return_inverse=True)
    return inverse, len(unique)


def _order(codes: NDArray[Any], values: list[NDArray[Any]]) -> NDArray[np.int64] | None:
    """Return the order of the rows by code, then by the values, or None if they are in order.

    The order of the codes has no meaning: it only puts the rows of a run together.
    """
    if _is_sorted([codes, *values]):
        return None
    by_code = np.argsort(codes, kind="stable")
    if _is_sorted([codes[by_code], *(column[by_code] for column in values)]):
        return by_code
    return np.lexsort([*reversed(values), codes])


def _degrees(numbers: NDArray[Any], planar: bool) -> NDArray[np.float64]:
    """Return coordinates in degrees."""
    return numbers / 1e7 if numbers.dtype == np.int32 and not planar else numbers.astype(np.float64, copy=False)


def _numbers(table: pa.Table, column: str, name: str, keys: list[str]) -> NDArray[Any]:
    """Return the values of a column that puts rows in order."""
    import pyarrow as pa

    values = table[column].combine_chunks()
    if pa.types.is_temporal(values.type):
        values = values.cast(pa.int32() if values.type.bit_width == 32 else pa.int64())
    elif pa.types.is_uint64(values.type):
        values = values.cast(pa.int64())  # fails if a number is too large
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise TypeError(f"column {name} of order has the type {values.type}; use times or numbers")
    missing = values.is_null(nan_is_null=True)
    if missing.true_count:
        key = table.slice(missing.index(True).as_py(), 1)
        found = _key(keys, [key[f"k{i}"][0].as_py() for i in range(len(keys))])
        raise ValueError(f"{found}: a value of column {name} is missing; remove such rows")
    numbers: NDArray[Any] = values.to_numpy()
    return numbers.astype(np.float64 if pa.types.is_floating(values.type) else np.int64, copy=False)


def _is_sorted(columns: list[NDArray[Any]]) -> bool:
    """Return whether rows do not decrease."""
    return bool(np.all(_not_after([c[:-1] for c in columns], [c[1:] for c in columns])))


def _not_after(before: list[NDArray[Any]], after: list[NDArray[Any]]) -> Any:
    """Return for each pair of rows whether the first one is at or before the second one."""
    follows: Any = True
    for a, b in zip(reversed(before), reversed(after)):
        follows = (a < b) | ((a == b) & follows)
    return follows


def _key(keys: list[str], values: Iterable[Any]) -> str:
    """Return a key, for messages."""
    return ", ".join(f"{name} {value!r}" for name, value in zip(keys, values))


def _merge(
    batches: Iterable[pa.RecordBatch], keys: list[str], orders: list[str], length_name: str, is_strict: bool
) -> Iterator[pa.RecordBatch]:
    """Merge the states of the keys of a partition."""
    import pyarrow as pa

    states = [batch for batch in batches if batch.num_rows]
    if not states:
        return
    table = _without_views(pa.Table.from_batches(states)).combine_chunks()
    names = [f"k{i}" for i in range(len(keys))]
    codes = [_encoded(table[name])[0] for name in names]
    firsts, lasts = ([table[f"{end}{i}"].to_numpy() for i in range(len(orders) + 2)] for end in _ENDS)
    order = np.lexsort([*reversed(lasts), *reversed(firsts), *codes])
    codes, firsts, lasts = ([column[order] for column in columns] for columns in (codes, firsts, lasts))
    is_new = functools.reduce(np.logical_or, [c[1:] != c[:-1] for c in codes])
    overlap = ~(is_new | _not_after([c[:-1] for c in lasts], [c[1:] for c in firsts]))
    if is_strict and overlap.any():
        at = int(np.argmax(overlap))
        key = _key(keys, [table[name][int(order[at])].as_py() for name in names])
        last, first = (_place([c[i].item() for c in ends], orders) for ends, i in ((lasts, at), (firsts, at + 1)))
        raise ValueError(
            f"{key}: the points of two partitions or runs overlap: one ends at {last}, "
            f"after the next one starts at {first}; "
            'use on_overlap="shuffle", or divide the rows by the argument runs'
        )
    starts = np.concatenate([[0], np.flatnonzero(is_new) + 1])
    has_overlap = np.logical_or.reduceat(np.append(overlap, False), starts)
    folds = table["fold"].take(pa.array(order)).to_pylist()
    paths = []
    for start, end, overlaps in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], has_overlap.tolist()):
        path = Fold.from_bytes(folds[start])
        if not overlaps:  # otherwise the path has no length
            for fold in folds[start + 1 : end]:
                path.merge(Fold.from_bytes(fold))
        paths.append(path)
    columns = {name: table[name].take(pa.array(order[starts])) for name in names}
    columns |= _result(length_name, paths)
    columns["overlaps"] = pa.array(has_overlap)
    yield from pa.table(columns).combine_chunks().to_batches()


def _result(length_name: str, paths: list[Fold]) -> dict[str, pa.Array]:
    import pyarrow as pa

    return {
        length_name: pa.array([path.length for path in paths], pa.float64()),
        "point_count": pa.array([path.point_count for path in paths], pa.int64()),
    }


def _place(values: list[Any], orders: list[str]) -> str:
    """Return the values that put a row in order, for messages. Times are whole numbers of their unit since 1970."""
    return ", ".join(f"{name}={value}" for name, value in zip([*orders, "lon", "lat"], values))


def _whole(table: pa.Table, keys: list[str], orders: list[str], options: dict[str, Any], length_name: str) -> pa.Table:
    """Measure all points of a key."""
    import pyarrow as pa

    table = _without_views(table)
    one_run = table.set_column(table.column_names.index("run"), "run", pa.nulls(table.num_rows, pa.int32()))
    path = Fold(**options)
    for _, values, _, _, x, y in _runs(one_run, keys, orders, options):
        _extend(path, x, y, keys, values, orders)
    key = {f"k{i}": _without_negative_zero(table[f"k{i}"][:1]) for i in range(len(keys))}
    return pa.table(key | _result(length_name, [path]))
