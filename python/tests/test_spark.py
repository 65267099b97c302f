"""Lengths on Spark and on Sail. Without PySpark or Sail, their tests are skipped."""

from __future__ import annotations

import datetime
import functools
import os
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import waywiser as ww

pytest.importorskip("pyspark")
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from waywiser import spark as ws

pytestmark = pytest.mark.filterwarnings("default")
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module", params=["classic", "sail"])
def spark(request):
    os.environ["PYSPARK_PYTHON"] = sys.executable
    if request.param == "classic":
        builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
        # A union has the partitions of all its tables.
        builder = builder.config("spark.sql.unionOutputPartitioning", "false")
        session = builder.config("spark.sql.shuffle.partitions", "2").config("spark.log.level", "OFF").getOrCreate()
        yield session
        session.stop()
        return
    server = pytest.importorskip("pysail.spark").SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    session = SparkSession.builder.remote("sc://127.0.0.1:{1}".format(*server.listening_address)).getOrCreate()
    yield session
    session.stop()
    server.stop()
    for name in ("SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED"):
        os.environ.pop(name, None)


def batch(keys, lon, lat):
    """Return rows as the functions of the workers get them."""
    count = len(lon)
    columns = {"k0": keys, "run": pa.nulls(count, pa.int32()), "o0": pa.array(range(count)), "x": lon, "y": lat}
    return pa.RecordBatch.from_pydict(columns)


def test_workers_warn_of_swapped_coordinates():
    rows = batch(["a"] * 3, [46.0, 46.1, 46.2], [113.0, 113.1, 113.2])
    with pytest.warns(UserWarning, match="the arguments may be swapped"):
        list(ws._partials([rows], ["device"], ["time"], {"metric": "geodesic", "on_invalid": "skip"}))
    with pytest.raises(ValueError, match="device 'a': .*the arguments may be swapped"):
        list(ws._partials([rows], ["device"], ["time"], {"metric": "geodesic", "on_invalid": "raise"}))


def points(count: int, seed: int, missing: bool = True) -> pd.DataFrame:
    """Return points in time order, with a device that is null, positions that are missing, and equal times."""
    random = np.random.default_rng(seed)
    device = random.choice(["a", "b", "c", None], count).astype(object)
    table = pd.DataFrame(
        {
            "device": device,
            "time": pd.to_datetime(np.sort(random.integers(0, 500, count)), unit="s", origin="2026-01-01").tz_localize(
                "UTC"
            ),
            "lon": random.uniform(-180, 180, count),
            "lat": random.uniform(-90, 90, count),
        }
    )
    if missing:
        table.loc[random.random(count) < 0.1, "lon"] = np.nan
        table.loc[random.random(count) < 0.1, "lat"] = np.nan
    return table


def expected(table: pd.DataFrame, on_invalid: str = "raise") -> dict[object, tuple[float, int]]:
    """Return the length and the count of each device."""
    table = table.copy()
    is_missing = table.lon.isna() | table.lat.isna()
    table.loc[is_missing, ["lon", "lat"]] = np.nan
    table = table.sort_values(["time", "lon", "lat"])
    groups = table.groupby("device", dropna=False)
    return {
        None if key is None or key != key else key: (
            ww.length(rows.lon.to_numpy(), rows.lat.to_numpy(), on_invalid=on_invalid),
            len(rows),
        )
        for key, rows in groups
    }


def frame(spark: SparkSession, table: pd.DataFrame):
    rows = pa.Table.from_pandas(table, preserve_index=False)
    null = [{name: None if value != value else value for name, value in row.items()} for row in rows.to_pylist()]
    return spark.createDataFrame(null, "device string, time timestamp, lon double, lat double")


def partitions(df, number, count):
    """Return a table with one partition for each value of a column of numbers."""
    parts = [df.where(number == value).coalesce(1) for value in range(count)]
    return functools.reduce(lambda a, b: a.union(b), parts)


def found(df) -> dict[object, tuple[float, int]]:
    rows = df.collect()
    result = {row.device: (row.length_m, row.point_count) for row in rows}
    assert len(result) == len(rows)
    return result


@pytest.mark.parametrize("on_invalid", ["split", "skip"])
def test_partitions_do_not_change_the_bits(spark, on_invalid):
    if on_invalid == "split" and type(spark).__module__ == "pyspark.sql.session":
        pytest.skip("the engine does not affect this, and the JVM is slow")
    table = points(3000, 1)
    df = frame(spark, table)
    want = expected(table, on_invalid)
    assert set(want) == {"a", "b", "c", None}
    options = {"key": "device", "order": "time", "on_invalid": on_invalid}
    assert found(ws.lengths(df.coalesce(1), **options)) == want
    # By time: the runs are merged in order. Within a partition the rows have a random order.
    by_time = partitions(df.sort(F.rand(1)), F.floor((F.unix_seconds("time") - int(START.timestamp())) / 150), 4)
    assert found(ws.lengths(by_time, **options)) == want
    # By key: one run for each key.
    assert found(ws.lengths(df.repartition(3, "device"), **options)) == want
    # At random: the points are shuffled.
    at_random = df.repartition(5)
    assert found(ws.lengths(at_random, on_overlap="shuffle", **options)) == want


def test_runs_of_a_partition_are_merged_with_those_of_others(spark):
    table = points(2000, 2, missing=False)
    df = frame(spark, table)
    # Two partitions with every other period, as from files in any order.
    period = F.floor(F.unix_seconds("time") / 50)
    mixed = partitions(df, period % 2, 2)
    options = {"key": "device", "order": "time"}
    assert found(ws.lengths(mixed, runs=period, **options)) == expected(table)
    assert found(ws.lengths(mixed.withColumn("period", period), runs="period", **options)) == expected(table)
    with pytest.raises(Exception, match="points of two partitions or runs overlap"):
        ws.lengths(mixed, **options).collect()


def test_partitions_in_order_need_no_sort(spark):
    table = points(3000, 5, missing=False).sort_values(["time", "lon", "lat"])
    options = {"key": "device", "order": "time", "presorted": True}
    in_order = frame(spark, table).coalesce(1)
    assert found(ws.lengths(in_order, **options)) == expected(table)
    # A run for each change of the order. None of them is left out.
    shuffled = frame(spark, table.sample(frac=1, random_state=6)).coalesce(1)
    assert found(ws.lengths(shuffled, on_overlap="shuffle", **options)) == expected(table)


def test_rows_of_a_partition_are_read_in_chunks(monkeypatch):
    monkeypatch.setattr(ws, "_CHUNK", 100)
    monkeypatch.setattr(ws, "_CURRENT_MAX", 2)
    table = points(1000, 7, missing=False).sort_values(["time", "lon", "lat"])
    rows = pa.table({"k0": table.device, "run": np.zeros(1000, int), "o0": table.time, "x": table.lon, "y": table.lat})
    for name, each in (("in order", rows), ("by key", rows.sort_by([("k0", "ascending"), ("o0", "ascending")]))):
        options = {"metric": "geodesic", "on_invalid": "raise"}
        states = list(ws._partials(each.to_batches(max_chunksize=30), ["device"], ["time"], options))
        assert len(states) > 1, name
        merged = pa.Table.from_batches(list(ws._merge(states, ["device"], ["time"], "length_m", True)))
        found = {row["k0"]: (row["length_m"], row["point_count"]) for row in merged.to_pylist()}
        assert found == expected(table), name


def test_equal_numbers_are_one_key():
    device = np.array([0.0, -0.0, np.nan, 0.0, np.nan, 1.0])
    key = pa.array(device, mask=np.arange(6) == 5)
    lon = np.arange(6.0)
    rows = pa.table({"k0": key, "run": np.zeros(6, int), "o0": np.arange(6), "x": lon, "y": np.zeros(6)})
    for each in (rows, rows.slice(3)):
        states = list(ws._partials(each.to_batches(), ["device"], ["time"], {"metric": "geodesic"}))
        merged = pa.Table.from_batches(list(ws._merge(states, ["device"], ["time"], "length_m", True))).to_pylist()
        assert len(merged) == 3
        found = {repr(row["k0"]): (row["length_m"], row["point_count"]) for row in merged}
        x = each["x"].to_numpy()
        for name, is_mine in [("0.0", device == 0), ("nan", np.isnan(device)), ("None", np.arange(6) == 5)]:
            mine = x[is_mine[-len(x) :]]
            assert found[name] == (ww.length(mine, 0 * mine), len(mine)), name


def test_only_keys_whose_runs_overlap_are_shuffled(spark):
    table = points(1000, 3, missing=False)
    df = frame(spark, table)
    at_random = (
        df.where("device = 'a' or device is null")
        .repartition(3)
        .unionByName(df.where("device in ('b', 'c')").coalesce(1))
    )
    result = ws.lengths(at_random, key="device", order="time", on_overlap="shuffle")
    assert found(result) == expected(table)


def test_several_columns_of_keys_and_order_and_units_of_1e_7_degree(spark):
    random = np.random.default_rng(4)
    rows = [
        (
            int(random.integers(3)),
            "walk `1`",
            n // 10,
            n,
            *(int(v) for v in random.integers(-900_000_000, 900_000_000, 2)),
        )
        for n in range(500)
    ]
    schema = "device int, `a.b` string, day int, n int, x int, y int"
    df = spark.createDataFrame(rows, schema)
    df = partitions(df, F.floor(F.col("n") / 125), 4)
    result = ws.lengths(df, key=["device", "a.b"], order=["day", "n"], lon="x", lat="y")
    assert result.columns == ["device", "a.b", "length_m", "point_count"]
    for device, name, length, count in result.collect():
        mine = [row for row in rows if row[0] == device]
        x, y = (np.array([row[i] for row in mine], dtype=np.int32) for i in (4, 5))
        assert (name, length, count) == ("walk `1`", ww.length(x, y), len(mine))
    # A missing value changes the type of the column in Arrow, but not the result.
    gap = df.withColumn("x", F.when(F.col("n") != 250, F.col("x")))
    rows[250] = (rows[250][0], "", 0, 0, None, None)
    result = ws.lengths(gap, key="device", order="n", lon="x", lat="y", on_invalid="skip").collect()
    for device, length, count in result:
        mine = [row for row in rows if row[0] == device]
        x, y = (np.array([row[i] for row in mine if row[4] is not None], dtype=np.int32) for i in (4, 5))
        assert (length, count) == (ww.length(x, y), len(mine))
    planar = ws.lengths(df, key="device", order="n", lon="x", lat="y", metric="planar").collect()
    mine = [row for row in rows if row[0] == planar[0].device and row[4] is not None]
    assert planar[0].length > 0 and "length_m" not in planar[0]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"lat": "91D"}, {}, "device 'a': index 0: latitude 91 is out of range|device 'a'.*latitude 91"),
        ({"lon": "null"}, {}, "device 'a'.*on_invalid"),
        ({"time": "null"}, {}, "device 'a': a value of column time is missing"),
        ({"time": "'noon'"}, {}, "column time of order has the type string"),
    ],
)
def test_jobs_fail_with_the_key(spark, change, options, message):
    df = spark.createDataFrame([("a", START, 1.0, 2.0)], "device string, time timestamp, lon double, lat double")
    for name, value in change.items():
        df = df.withColumn(name, F.expr(value))
    if change.get("lon") == "null":
        df = df.withColumn("lon", F.col("lon").cast("double"))
    if change.get("time") == "null":
        df = df.withColumn("time", F.col("time").cast("timestamp"))
    with pytest.raises(Exception, match=message):
        ws.lengths(df, key="device", order="time", **options).collect()


def test_arguments_are_checked_before_a_job_starts(spark):
    df = frame(spark, points(10, 5))
    for options, error in [
        ({"on_overlap": "sort"}, ValueError),
        ({"metric": "cubic"}, ValueError),
        ({"on_invalid": "drop"}, ValueError),
        ({"key": []}, TypeError),
        ({"order": [1]}, TypeError),
    ]:
        with pytest.raises(error, match=next(iter(options))):
            ws.lengths(df, **{"key": "device", "order": "time"} | options)


def test_empty_tables_have_no_rows(spark):
    df = frame(spark, points(10, 6)).where("lon > 999")
    for on_overlap in ("raise", "shuffle"):
        assert ws.lengths(df, key="device", order="time", on_overlap=on_overlap).collect() == []


def test_by_measures_windows_as_the_function_for_one_machine(spark):
    table = points(1000, 7, missing=False)
    df = frame(spark, table).repartition(5)
    result = ws.by(df, key="device", time="time", every="hour", timezone="Europe/Ljubljana", max_speed=1e6)
    rows = table.sort_values(["time", "lon", "lat"])
    want = ww.by(
        rows.device, rows.time, rows.lon, rows.lat, every="hour", timezone="Europe/Ljubljana", max_speed=1e6
    ).to_pylist()
    assert result.columns == ["device", *want[0]][:1] + list(want[0])[1:]
    got = [row.asDict() for row in result.collect()]
    assert len(got) == len(want) > 3
    for row in want:
        match = [other for other in got if other["device"] == row["key"] and other["length_m"] == row["length_m"]]
        assert [other["point_count"] for other in match] == [row["point_count"]]
        assert match[0]["start"].timestamp() == row["start"].timestamp()
    assert len(ws.by(df, key="device", time="time").collect()) == 4


@pytest.mark.parametrize("count", [1, 3])
def test_keys_of_texts_are_read_from_parquet_files(spark, tmp_path, count):
    table = points(600, 8, missing=False)
    for number, part in enumerate(np.array_split(np.arange(len(table)), count)):
        rows = pa.Table.from_pandas(table.iloc[part], preserve_index=False)
        pq.write_table(rows, tmp_path / f"{number}.parquet", coerce_timestamps="us")
    df = spark.read.parquet(str(tmp_path))
    options = {"key": "device", "order": "time"}
    if count == 1:
        assert found(ws.lengths(df, **options)) == expected(table)
    # Points at random in the partitions, so that keys are shuffled.
    assert found(ws.lengths(df.repartition(2), on_overlap="shuffle", **options)) == expected(table)
    result = ws.by(df, key="device", time="time").collect()
    assert {row.device: (row.length_m, row.point_count) for row in result} == expected(table)


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view()])
def test_workers_get_keys_as_views(kind):
    keys = [b"a", None, b"b", b"a"]
    key = pa.array(keys, pa.binary_view()).cast(kind)
    plain = pa.string() if kind == pa.string_view() else pa.binary()
    options = {"metric": "geodesic", "on_invalid": "raise"}
    rows = batch(key, [1.0, 2.0, 3.0, 4.0], [0.0] * 4)
    states = list(ws._partials([rows], ["device"], ["time"], options))
    assert all(state.schema.field("k0").type == plain for state in states)
    with_views = [state.set_column(0, "k0", state["k0"].cast(kind)) for state in states]
    for each in (states, with_views):
        merged = pa.Table.from_batches(list(ws._merge(each, ["device"], ["time"], "length_m", True)))
        assert merged["k0"].type == plain and merged["point_count"].to_pylist().count(2) == 1
    one = pa.Table.from_batches([rows.slice(0, 1)])
    whole = ws._whole(one, ["device"], ["time"], options, "length_m")
    assert whole["k0"].type == plain and whole["point_count"].to_pylist() == [1]
    table = pa.table({"key": key, "time": [3, 2, 1, 0], "lon": [1.0, 2.0, 3.0, 4.0], "lat": [0.0] * 4})
    assert ws._by(table, {})["key"].type == plain


def test_by_has_the_statistics_of_the_function_for_one_machine(spark):
    table = points(300, 9, missing=False)
    df = frame(spark, table).withColumn("z", F.unix_seconds("time") % 7 * 2.0)
    columns = {"key": "device", "time": "time", "elevation": "z"}
    options = {"statistics": True, "min_climb": 3, "stopped_speed": 1.0}
    got = {row["device"]: row.asDict() for row in ws.by(df, **columns, **options).collect()}
    rows = table.sort_values(["time", "lon", "lat"])
    z = (rows.time - pd.Timestamp(0, tz="UTC")).dt.total_seconds() % 7 * 2.0
    want = ww.by(rows.device, rows.time, rows.lon, rows.lat, elevation=z, **options).to_pylist()
    assert len(got) == len(want) == 4
    for row in want:
        found = got[row["key"]]
        for name in ("length_m", "length_3d_m", "ascent_m", "stop_count", "max_speed_mps"):
            assert found[name] == row[name], name
    with pytest.raises(ValueError, match="min_climb has no effect without statistics=True"):
        ws.by(df, **columns, min_climb=3)
    for name in ("threads", "thread"):
        with pytest.raises(TypeError, match=name):
            ws.by(df, **columns, **{name: 2})
