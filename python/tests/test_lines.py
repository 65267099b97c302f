"""line_lengths: every kind of geometry, container and layout."""

from __future__ import annotations

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyproj
import pytest
import shapely
import waywiser as ww
from hypothesis import given
from hypothesis import strategies as st
from shapely import (
    GeometryCollection,
    LinearRing,
    LineString,
    MultiLineString,
    MultiPoint,
    MultiPolygon,
    Point,
    Polygon,
)

GEOD = pyproj.Geod(ellps="WGS84")
LINE = LineString([(13, 46), (13.1, 46), (13.1, 46.1)])
HOLED = Polygon([(0, 0), (1, 0), (1, 1), (0, 1)], [[(0.2, 0.2), (0.4, 0.2), (0.4, 0.4)]])

GEOMETRIES = [
    LINE,
    LineString(),
    None,
    LinearRing([(0, 0), (1, 0), (1, 1)]),
    MultiLineString([LINE, [(1, 1), (1, 2)]]),
    MultiLineString(),
    Point(1, 2),
    MultiPoint([(1, 2), (3, 4)]),
    HOLED,
    MultiPolygon([HOLED, Polygon([(5, 5), (6, 5), (6, 6)])]),
    Polygon(),
    GeometryCollection([Point(1, 1), LINE, GeometryCollection([HOLED, MultiLineString([LINE])])]),
    LineString([(13, 46, 5), (13.1, 46, 900)]),
]


def path_length(geometry):
    return ww.length(*shapely.get_coordinates(geometry).T)


def expected(geometry):
    """Return the length of a geometry, part by part. It is None for a missing geometry."""
    if geometry is None:
        return np.nan
    if isinstance(geometry, Polygon):
        return sum(path_length(ring) for ring in shapely.get_rings(geometry))
    if hasattr(geometry, "geoms"):
        return sum(expected(part) for part in geometry.geoms)
    return path_length(geometry)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_every_geometry(order):
    geometries = GEOMETRIES[order]
    lengths = ww.line_lengths(geometries)
    np.testing.assert_allclose(lengths, [expected(each) for each in geometries], rtol=1e-15)
    for geometry, length in zip(geometries, lengths):
        np.testing.assert_array_equal(ww.line_lengths([geometry]), [length])


def test_lines_have_the_bits_of_paths():
    lines = [LINE, LineString([(179.9, 1), (-179.9, 1.1)]), LineString([(0.1, 0.2), (0.3, 0.4), (100, -80)])]
    assert ww.line_lengths(lines).tolist() == [path_length(line) for line in lines]


@st.composite
def many_lines(draw):
    """Return lines of few and many points with short and long legs."""
    lines = []
    for _ in range(draw(st.integers(0, 30))):
        count = draw(st.integers(0, 40).filter(lambda count: count != 1))
        step = draw(st.sampled_from([1e-4, 1e-2, 1.0]))
        values = np.array(draw(st.lists(st.floats(-step, step), min_size=2 * count, max_size=2 * count)))
        start = draw(st.floats(-100, 100)), draw(st.floats(-40, 40))
        lines.append(LineString(np.cumsum(values.reshape(-1, 2), axis=0) + start) if count else LineString())
    return np.array(lines, dtype=object)


@given(many_lines())
def test_containers_and_layouts_give_the_same_bits(lines):
    lengths = ww.line_lengths(lines)
    assert lengths.tolist() == [path_length(line) for line in lines]
    assert all(abs(GEOD.geometry_length(line) - length) < 1e-6 for line, length in zip(lines, lengths))
    series = geopandas.GeoSeries(lines, crs=4326)
    layouts = {
        "list": list(lines),
        "series": series,
        "frame": geopandas.GeoDataFrame(geometry=series),
        "array": series.values,
        "without CRS": geopandas.GeoSeries(lines),
        "WKB": series.to_arrow(geometry_encoding="WKB"),
        "threads": None,
    }
    if len(lines) > 0:  # geopandas has no GeoArrow of nothing
        for interleaved in (True, False):
            geoarrow = series.to_arrow(geometry_encoding="geoarrow", interleaved=interleaved)
            layouts[f"GeoArrow, {interleaved}"] = geoarrow
            layouts[f"pyarrow, {interleaved}"] = pa.array(geoarrow)
    for name, layout in layouts.items():
        found = ww.line_lengths(lines, threads=3) if layout is None else ww.line_lengths(layout)
        np.testing.assert_array_equal(found, lengths, err_msg=name)
    points, offsets = shapely.get_coordinates(lines), np.cumsum([0, *shapely.get_num_coordinates(lines)])
    np.testing.assert_array_equal(ww.line_lengths((points[:, 0], points[:, 1], offsets)), lengths)


@pytest.mark.parametrize("interleaved", [True, False])
def test_geoarrow_of_other_types_and_slices(interleaved):
    for geometries in (
        [LINE, None, LINE, LineString()],
        [MultiLineString([LINE, LINE]), None, MultiLineString([LINE])],
        [HOLED, None, Polygon()],
        [MultiPolygon([HOLED, HOLED]), None, MultiPolygon()],
    ):
        series = geopandas.GeoSeries(geometries, crs=4326)
        array = pa.array(series.to_arrow(geometry_encoding="geoarrow", interleaved=interleaved))
        lengths = ww.line_lengths(geometries)
        np.testing.assert_array_equal(ww.line_lengths(array), lengths)
        np.testing.assert_array_equal(ww.line_lengths(array[1:]), lengths[1:])
        np.testing.assert_array_equal(ww.line_lengths(array[:1]), lengths[:1])
        np.testing.assert_array_equal(ww.line_lengths(pa.chunked_array([array[:1], array[1:]])), lengths)


def test_geoarrow_of_points_and_of_other_types():
    for geometries in ([Point(1, 2), None], [MultiPoint([(1, 2), (3, 4)]), MultiPoint([(5, 6)])]):
        series = geopandas.GeoSeries(geometries, crs=4326)
        found = ww.line_lengths(series.to_arrow(geometry_encoding="geoarrow"))
        np.testing.assert_array_equal(found, ww.line_lengths(geometries))
    # Coordinates are found by their names.
    points = pa.array([{"y": y, "x": x} for x, y in LINE.coords])
    lines = pa.ListArray.from_arrays(pa.array([0, 3], pa.int32()), points)
    assert ww.line_lengths(lines).tolist() == [path_length(LINE)]
    unnamed = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array([{"a": 1.0, "b": 2.0}]))
    with pytest.raises(TypeError, match="is not one of GeoArrow for coordinates"):
        ww.line_lengths(unnamed)


def test_points_and_parts_of_geoarrow_that_are_null():
    struct = pa.list_(pa.struct([("x", pa.float64()), ("y", pa.float64())]))
    rows = [[{"x": 14.5, "y": 46.0}, None, {"x": 14.6, "y": 46.0}]]
    interleaved = pa.list_(pa.list_(pa.float64(), 2))
    for array in (pa.array(rows, struct), pa.array([[[14.5, 46.0], None, [14.6, 46.0]]], interleaved)):
        with pytest.raises(ValueError, match="line 0, index 1 of all points: .* NaN"):
            ww.line_lengths(array)
        assert ww.line_lengths(array, on_invalid="skip").tolist() == [ww.length([14.5, 14.6], [46.0, 46.0])]
    with pytest.raises(ValueError, match="a part of a geometry is null"):
        ww.line_lengths(pa.array([[[{"x": 14.5, "y": 46.0}], None]], pa.list_(struct)))


def test_containers_of_geometries():
    lengths = [path_length(LINE)] * 3
    assert ww.line_lengths((LINE, LINE, LINE)).tolist() == lengths
    assert ww.line_lengths(pd.Series([LINE] * 3)).tolist() == lengths
    for missing in ((None, LINE, LINE), (LINE, None, LINE), (None, None, LINE), (None, None, None)):
        np.testing.assert_array_equal(ww.line_lengths(missing), ww.line_lengths(list(missing)))
    assert ww.line_lengths(pa.array([LINE.wkb] * 3, pa.binary_view())).tolist() == lengths


def test_swapped_coordinates_of_lines():
    points = np.array([(46.0, -120.0), (47.0, -121.0)])
    with pytest.raises(ValueError, match="line 0, index 0 of all points: latitude -120 .*swapped"):
        ww.line_lengths((points[:, 0], points[:, 1], [0, 2]))
    with pytest.warns(UserWarning, match="swapped"):
        ww.line_lengths((points[:, 0], points[:, 1], [0, 2]), on_invalid="skip")


def test_projected_coordinates_are_refused():
    series = geopandas.GeoSeries([LineString([(1_400_000, 5_800_000), (1_400_003, 5_800_004)])], crs=3857)
    with pytest.raises(ValueError, match=r"the CRS \(WGS 84 / Pseudo-Mercator\) is projected.*to_crs\(4326\)"):
        ww.line_lengths(series)
    with pytest.raises(ValueError, match="is projected"):
        ww.line_lengths(geopandas.GeoDataFrame(geometry=series))
    with pytest.raises(ValueError, match="is projected"):
        ww.line_lengths(series.to_arrow(geometry_encoding="geoarrow"))
    assert ww.line_lengths(series, metric="planar").tolist() == [5.0]
    # Without a CRS they are out of range.
    with pytest.raises(ValueError, match="line 0, index 0 of all points: latitude 5800000"):
        ww.line_lengths(series.values.to_numpy())


def test_another_ellipsoid_is_a_warning():
    with pytest.warns(UserWarning, match=r"the CRS \(NAD27\) has the ellipsoid Clarke 1866"):
        ww.line_lengths(geopandas.GeoSeries([LINE], crs="EPSG:4267"))
    ww.line_lengths(geopandas.GeoSeries([LINE], crs="EPSG:4258"))  # GRS80 is WGS84 within 0.1 mm


def test_coordinate_systems_of_geoarrow_and_of_series():
    rotated = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +ellps=WGS84"
    refused = {
        "EPSG:27700": "OSGB36 / British National Grid\\) is projected",
        "EPSG:7405": "is projected",  # with heights
        "EPSG:4978": "is not geographic",
        "EPSG:4807": "in grad and not in degrees",
        rotated: "has rotated poles",
    }
    warned = {"EPSG:4277": "the ellipsoid Airy 1830", "EPSG:4277+5701": "the ellipsoid Airy 1830"}
    accepted = ["EPSG:4326", "OGC:CRS84", "EPSG:9707", "EPSG:4979", "EPSG:4258"]
    for crs in (*refused, *warned, *accepted):
        series = geopandas.GeoSeries([LINE], crs=crs)
        forms = [series, series.to_arrow(geometry_encoding="geoarrow"), series.to_arrow(geometry_encoding="wkb")]
        for lines in forms:
            if crs in refused:
                with pytest.raises(ValueError, match=refused[crs]):
                    ww.line_lengths(lines)
            elif crs in warned:
                with pytest.warns(UserWarning, match=warned[crs]) as found:
                    ww.line_lengths(lines)
                assert found[0].filename == __file__
            else:
                assert ww.line_lengths(lines).tolist() == [path_length(LINE)]
            assert ww.line_lengths(lines, metric="planar").tolist() == [LINE.length]


def test_invalid_positions():
    lines = shapely.linestrings([[(1, 1), (2, 2)], [(3, 3), (4, 4)]])
    points, offsets = shapely.get_coordinates(lines), [0, 2, 4]
    points[3, 1] = np.nan
    with pytest.raises(ValueError, match="line 1, index 3 of all points: latitude NaN is not a finite number"):
        ww.line_lengths((points[:, 0], points[:, 1], offsets))
    for on_invalid in ("skip", "split"):
        found = ww.line_lengths((points[:, 0], points[:, 1], offsets), on_invalid=on_invalid)
        assert found.tolist() == [path_length(lines[0]), 0]
    # A line that continues after the point.
    lon, lat = np.array([1.0, 2, 3, 4]), np.array([1.0, np.nan, 3, 4])
    for on_invalid in ("skip", "split"):
        found = ww.line_lengths((lon, lat, [0, 4]), on_invalid=on_invalid)
        assert found.tolist() == [ww.length(lon, lat, on_invalid=on_invalid)]


@given(st.lists(st.integers(0, 5), max_size=400), st.floats(0, 0.3), st.sampled_from(["skip", "split"]), st.randoms())
def test_invalid_positions_in_many_lines(counts, share, on_invalid, random):
    offsets = np.cumsum([0, *counts])
    lon, lat = 13 + np.arange(offsets[-1]) % 13 * 1e-4, 46 + np.arange(offsets[-1]) % 7 * 1e-4
    for index in range(len(lon)):
        if random.random() < share:
            lon[index] = np.nan
    found = ww.line_lengths((lon, lat, offsets), on_invalid=on_invalid)
    parts = [slice(*ends) for ends in zip(offsets, offsets[1:])]
    assert found.tolist() == [ww.length(lon[part], lat[part], on_invalid=on_invalid) for part in parts]


@pytest.mark.parametrize(
    "lines, error, message",
    [
        (([1.0], [1.0], [0, 2]), ValueError, "index 1 of offsets: 2 is not between 0 and 1"),
        (([1.0], [1.0], [1, 0]), ValueError, "index 1 of offsets: 0 is not between 1 and 1"),
        (([1.0], [1.0], [-1, 1]), ValueError, "index 0 of offsets: -1 is not between"),
        (([1.0], [1.0], []), ValueError, "offsets are empty"),
        (([1.0], [1.0], [0.0, 1.0]), TypeError, "offsets have the type float64"),
        (([1.0], [1.0], None), TypeError, "offsets is None; in a tuple"),
        (([1.0], [1.0, 2.0], [0, 1]), ValueError, "lon has 1 values and lat has 2"),
        (["a line"], TypeError, "index 0: 'a line' is not a geometry"),
        (([1.0], [1.0], np.array([0, 2**63 + 5], "u8")), ValueError, f"index 1 of offsets: {2**63 + 5} is larger than"),
        (([1.0], [1.0], [[0, 1]]), ValueError, r"offsets must have one dimension, but their shape is \(1, 2\)"),
        (([1.0], [1.0], [[0], [0, 1]]), ValueError, "offsets cannot be converted to an array"),
        (([1.0], [1.0], 3), TypeError, "offsets is a number; use an array of whole numbers"),
        (([1.0], [1.0]), TypeError, r"the offsets are missing; use \(lon, lat, offsets\)"),
        ((np.zeros(2), pa.array([0.0, 1.0])), TypeError, "the offsets are missing"),
        (LINE, TypeError, "lines is a LineString; use a list or an array of geometries"),
        (14, TypeError, "lines is a number; use a list"),
        (None, TypeError, "lines is None; use a list"),
        ("abc", TypeError, "lines is a str; use a list"),
        (iter([LINE]), TypeError, "lines is a list_iterator; use a list"),
        ({LINE}, TypeError, "lines is a set; use a list"),
        (np.array([[LINE, LINE]]), ValueError, "lines must have one dimension"),
        (pa.array([1.0]), TypeError, "the Arrow type double is not one of GeoArrow"),
        (pa.array([[1.0]]), TypeError, "the Arrow type double is not one of GeoArrow for coordinates"),
    ],
)
def test_wrong_arguments(lines, error, message):
    with pytest.raises(error, match=message):
        ww.line_lengths(lines)


def test_no_lines():
    for empty in ([], np.array([], dtype=object), geopandas.GeoSeries([], crs=4326), ([], [], [0])):
        assert ww.line_lengths(empty).tolist() == []


class GeoArrow(pa.ExtensionType):
    """An extension type that is not registered, so that its name is only in the metadata of fields."""

    def __init__(self, storage: pa.DataType, name: str, metadata: bytes) -> None:
        self.metadata = metadata
        super().__init__(storage, name)

    def __arrow_ext_serialize__(self) -> bytes:
        return self.metadata


class Arrays:
    """Arrays that have only the stream of the Arrow PyCapsule interface, as those in chunks of other libraries."""

    def __init__(self, storage: pa.Array, name: str, metadata: bytes = b"", chunks: int = 2) -> None:
        array = pa.ExtensionArray.from_storage(GeoArrow(storage.type, name, metadata), storage)
        cuts = np.linspace(0, len(array), chunks + 1).astype(int)
        parts = [array[start:end] for start, end in zip(cuts, cuts[1:])]
        self.chunked = pa.chunked_array(parts, array.type)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.chunked.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_streams_of_geoarrow_have_a_type_and_a_crs(chunks):
    points = pa.array([[list(each) for each in LINE.coords]] * 3, pa.list_(pa.list_(pa.float64(), 2)))
    count = 3 if chunks else 0
    wkb = pa.array([LINE.wkb] * 3)
    projected = b'{"crs": "EPSG:3857"}'
    for name, storage in [("geoarrow.linestring", points), ("geoarrow.multipoint", points), ("geoarrow.wkb", wkb)]:
        length = 0 if name == "geoarrow.multipoint" else path_length(LINE)
        for metadata in (b"", b'{"crs": "EPSG:4326"}'):
            found = ww.line_lengths(Arrays(storage, name, metadata, chunks))
            assert found.tolist() == [length] * count, name
        with pytest.raises(ValueError, match="Pseudo-Mercator.* is projected"):
            ww.line_lengths(Arrays(storage, name, projected, chunks))
        planar = ww.line_lengths(Arrays(storage, name, projected, chunks), metric="planar")
        assert planar.tolist() == [length and LINE.length] * count, name
    with pytest.raises(TypeError, match="geoarrow.box is not one of"):
        ww.line_lengths(Arrays(points, "geoarrow.box", b"", chunks))


def test_a_stream_whose_schema_cannot_be_read_is_refused():
    class Released(Arrays):
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            capsule = super().__arrow_c_stream__(requested_schema)
            pa.ChunkedArray._import_from_c_capsule(capsule)
            return capsule

    with pytest.raises(ValueError, match="the Arrow stream is released"):
        ww.line_lengths(Released(pa.array([[1.0]]), "geoarrow.linestring"))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_malformed_wkb_is_an_error_with_its_index(kind):
    for malformed in (LINE.wkb[:-1], b"", b"LINESTRING (0 0, 1 1)"):
        with pytest.raises(ValueError, match="^index 2: "):
            ww.line_lengths(pa.array([LINE.wkb, None, malformed, b""], kind))
    # An empty CIRCULARSTRING, which shapely does not have.
    curve = bytes([1]) + (8).to_bytes(4, "little") + bytes(4)
    with pytest.raises((TypeError, ValueError), match="^index 1: "):
        ww.line_lengths(pa.array([LINE.wkb, curve], kind))


def test_offsets_may_be_in_packed_records():
    records = np.zeros(3, dtype=np.dtype([("flag", "u1"), ("offset", "i8")]))
    records["offset"] = [0, 2, 3]
    lon, lat = [13.0, 13.1, 13.2], [46.0, 46.1, 46.2]
    assert ww.line_lengths((lon, lat, records["offset"])).tolist() == ww.line_lengths((lon, lat, [0, 2, 3])).tolist()


def test_a_tuple_of_two_geometries_is_not_a_tuple_of_columns():
    assert len(ww.line_lengths((LINE, LINE))) == len(ww.line_lengths((None, LINE))) == 2
