"""The lengths of geometries."""

from __future__ import annotations

import ctypes
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _arrays, _waywiser
from ._warnings import warn

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from ._types import Metric, OnInvalid

#: The types of geometries of shapely.
_MISSING, _LINE, _RING, _POLYGON, _MULTI = -1, 1, 2, 3, 4
#: Semi-major axis (m) and inverse flattening of WGS84. GRS80 differs by less than the limits below.
_AXIS_M, _FLATTENING = 6_378_137.0, 298.257_223_563


def line_lengths(
    lines: Any,
    *,
    metric: Metric = "geodesic",
    on_invalid: OnInvalid = "raise",
    threads: int | None = 1,
) -> NDArray[np.float64]:
    """Return the length of each geometry in metres, without a Python loop.

    Parameters
    ----------
    lines : geopandas.GeoSeries, array_like of shapely.Geometry, GeoArrow array, or tuple (lon, lat, offsets)
        Lines, or geometries of other types: a collection has the sum of the
        lengths of its parts, a polygon the length of its rings, and a point 0.
        A GeoSeries must have geographic coordinates or no CRS. GeoArrow arrays
        of lines and polygons, with separate or interleaved coordinates or in
        WKB, have the Arrow PyCapsule interface; their CRS is checked if they
        have an extension type. In a tuple, line i has the points from
        offsets[i] to offsets[i + 1].
    metric : {"geodesic", "haversine", "planar"}
        See :func:`length`. With "planar", the lengths are in the unit of the
        coordinates, of any CRS.
    on_invalid : {"raise", "split", "skip"}
        See :func:`length`.
    threads : int or None
        The number of threads; None is one for each processor.

    Returns
    -------
    numpy.ndarray
        One float64 for each geometry: 0 for an empty one, NaN for a missing
        one. Elevations are ignored.

    Raises
    ------
    ValueError
        A position is not valid and on_invalid is "raise", a value is not valid
        WKB, or the CRS is projected.
    TypeError
        `lines` has none of these types, or a geometry is a curve.
    """
    options: dict[str, Any] = {"metric": metric, "on_invalid": on_invalid, "threads": threads}
    if isinstance(lines, tuple) and len(lines) == 3 and not _are_geometries(lines):
        lon, lat, offsets = lines
        return _waywiser.ragged_lengths(lon, lat, _offsets(offsets), None, **options)
    if isinstance(lines, tuple) and len(lines) == 2 and all(map(_is_column, lines)):
        raise TypeError("lines is a tuple of two arrays, and the offsets are missing; use (lon, lat, offsets)")
    if metric != "planar":
        check_crs(getattr(lines, "crs", None))
    geometry = getattr(lines, "geometry", None)  # of a GeoDataFrame or GeoSeries
    if geometry is not None and hasattr(geometry, "values"):
        lines = geometry.values
    if _arrays.has_arrow(lines) and not hasattr(lines, "crs") and not _arrays.has_numpy_dtype(lines):
        return _of_arrow(lines, options)
    return _of_shapely(lines, options)


def _are_geometries(values: tuple[Any, ...]) -> bool:
    """Return whether values are geometries of shapely, or None, which is a missing one."""
    return any(hasattr(value, "geom_type") for value in values) or all(value is None for value in values)


def _is_column(values: Any) -> bool:
    """Return whether a value is an array or a list."""
    is_array = _arrays.has_arrow(values) or hasattr(values, "__len__")
    return is_array and not isinstance(values, str | bytes) and not hasattr(values, "geom_type")


def _offsets(offsets: Any) -> NDArray[Any]:
    if offsets is None:
        raise TypeError("offsets is None; in a tuple (lon, lat, offsets), use an array of whole numbers")
    try:
        array = np.asarray(offsets)
    except ValueError as error:
        raise ValueError(f"offsets cannot be converted to an array: {error}") from error
    if array.ndim > 1:
        raise ValueError(f"offsets must have one dimension, but their shape is {array.shape}")
    _arrays.check_dimensions(array, offsets, "offsets", "an array of whole numbers")
    if array.dtype in (np.int64, np.int32):
        return np.require(array, requirements="A")
    if array.dtype.kind not in "iu" and array.size > 0:
        raise TypeError(f"offsets have the type {array.dtype}; use whole numbers")
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        index = int(np.argmax(array > np.iinfo(np.int64).max))
        raise ValueError(f"index {index} of offsets: {array[index]} is larger than the number of points")
    return array.astype(np.int64)


def check_crs(crs: Any) -> None:
    """Check that a coordinate reference system has longitudes and latitudes, and
    warn if they are not on WGS84.

    `crs` is a pyproj.CRS, or anything that has its attributes is_geographic and
    ellipsoid, or None.
    """
    if crs is None:
        return
    name = getattr(crs, "name", crs)
    advice = 'use to_crs(4326), or metric="planar" for lengths in its unit'
    if not getattr(crs, "is_geographic", True):
        kind = "projected" if getattr(crs, "is_projected", True) else "not geographic"
        raise ValueError(f"the CRS ({name}) is {kind}, so that the coordinates are not degrees; {advice}")
    if getattr(crs, "is_derived", False):
        raise ValueError(f"the CRS ({name}) has rotated poles, so that the coordinates are not longitudes; {advice}")
    units = {getattr(axis, "unit_name", "degree") for axis in (getattr(crs, "axis_info", None) or ())[:2]}
    if not all(unit.startswith("degree") for unit in units):
        raise ValueError(f"the CRS ({name}) has coordinates in {', '.join(sorted(units))} and not in degrees; {advice}")
    ellipsoid = getattr(crs, "ellipsoid", None)
    if ellipsoid is None:
        return
    is_wgs84 = (
        abs(ellipsoid.semi_major_metre - _AXIS_M) < 0.01 and abs(ellipsoid.inverse_flattening - _FLATTENING) < 1e-4
    )
    if not is_wgs84:
        warn(f"the CRS ({name}) has the ellipsoid {ellipsoid.name}, and lengths are on WGS84; use to_crs(4326)")


def _of_shapely(lines: Any, options: dict[str, Any]) -> NDArray[np.float64]:
    import shapely

    geometries = np.asarray(lines, dtype=object)
    if geometries.ndim > 1:
        raise ValueError(f"lines must have one dimension, but their shape is {geometries.shape}")
    _arrays.check_dimensions(geometries, lines, "lines", "a list or an array of geometries, or (lon, lat, offsets)")
    try:
        types = shapely.get_type_id(geometries)
    except TypeError as error:
        index = next(
            index for index, each in enumerate(geometries) if not (each is None or isinstance(each, shapely.Geometry))
        )
        raise TypeError(f"index {index}: {geometries[index]!r} is not a geometry") from error
    line_offsets: NDArray[Any] | None = None
    parts = geometries
    if not ((types == _LINE) | (types == _RING) | (types == _MISSING)).all():
        parts, line_offsets = _parts(geometries)
    part_offsets = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum(shapely.get_num_coordinates(parts), out=part_offsets[1:])
    points = shapely.get_coordinates(parts)
    lengths = _waywiser.ragged_lengths(points[:, 0], points[:, 1], part_offsets, line_offsets, **options)
    missing = types == _MISSING
    if missing.any():
        lengths[missing] = np.nan
    return lengths


def _parts(geometries: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the lines and rings of geometries, and the offsets of the geometries in them."""
    import shapely

    parts, owners = geometries, np.arange(len(geometries))
    # A collection may contain collections.
    while (shapely.get_type_id(parts) >= _MULTI).any():
        parts, index = shapely.get_parts(parts, return_index=True)
        owners = owners[index]
    is_polygon = shapely.get_type_id(parts) == _POLYGON
    if is_polygon.any():
        rings, index = shapely.get_rings(parts[is_polygon], return_index=True)
        owners = np.concatenate([owners[~is_polygon], owners[is_polygon][index]])
        parts = np.concatenate([parts[~is_polygon], rings])
        order = np.argsort(owners, kind="stable")
        parts, owners = parts[order], owners[order]
    return parts, np.searchsorted(owners, np.arange(len(geometries) + 1))


#: The types of GeoArrow that are measured, and those whose length is 0.
_MEASURED = ("geoarrow.linestring", "geoarrow.multilinestring", "geoarrow.polygon", "geoarrow.multipolygon")
_WKB = ("geoarrow.wkb", "ogc.wkb")
_POINTS = ("geoarrow.point", "geoarrow.multipoint")


def _of_arrow(lines: Any, options: dict[str, Any]) -> NDArray[np.float64]:
    import pyarrow as pa
    import pyarrow.types as types

    lines, name, crs = _of_field(lines)
    if options["metric"] != "planar":
        check_crs(crs)
    array = _arrays.arrow_array(lines)
    if isinstance(array, pa.ChunkedArray):  # an extension type without chunks
        array = pa.nulls(0, array.type)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if name is not None and name not in (*_MEASURED, *_WKB, *_POINTS):
        raise TypeError(f"the Arrow extension type {name} is not one of lines, polygons, points or WKB")
    if types.is_binary_view(array.type):
        array = array.cast(pa.large_binary())
    if types.is_binary(array.type) or types.is_large_binary(array.type):
        return _of_shapely(_from_wkb(array.to_numpy(zero_copy_only=False)), options)
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    lengths = np.zeros(len(array)) if name in _POINTS else _of_lists(array, options)
    if missing is not None:
        lengths[missing] = np.nan
    return lengths


def _from_wkb(values: NDArray[Any]) -> NDArray[Any]:
    """Return the geometries of values in WKB, in which None is missing."""
    import shapely

    try:
        geometries: NDArray[Any] = shapely.from_wkb(values)
        return geometries
    except (shapely.errors.ShapelyError, NotImplementedError):
        # shapely does not return the index of the value.
        for index, value in enumerate(values):
            try:
                shapely.from_wkb(value)
            except NotImplementedError as error:  # curves
                raise TypeError(f"index {index}: {error}") from error
            except shapely.errors.ShapelyError as error:
                raise ValueError(f"index {index}: {error}") from error
        raise


def _of_lists(array: pa.Array, options: dict[str, Any]) -> NDArray[np.float64]:
    """Return the lengths of lists of points, and of lists of such lists."""
    import pyarrow.types as types

    offsets: list[NDArray[Any]] = []
    while types.is_list(array.type) or types.is_large_list(array.type):
        if offsets and array.null_count:
            raise ValueError("a part of a geometry is null")
        offsets.append(array.offsets.to_numpy())
        array = array.values
    if not offsets:
        raise TypeError(f"the Arrow type {array.type} is not one of GeoArrow for lines, polygons or WKB")
    lon, lat = _arrow_coordinates(array)
    # The parts of parts of a geometry are its parts.
    part_offsets, line_offsets = offsets.pop(), None
    while offsets:
        outer = offsets.pop()
        line_offsets = outer if line_offsets is None else line_offsets[outer]
    return _waywiser.ragged_lengths(lon, lat, part_offsets, line_offsets, **options)


def _arrow_coordinates(array: pa.Array) -> tuple[NDArray[Any], NDArray[Any]]:
    import pyarrow.types as types

    if types.is_struct(array.type) and {"x", "y"} <= {field.name for field in array.type}:
        names = [field.name for field in array.type]
        columns = array.flatten()  # in which a point that is null has null coordinates
        x, y = (columns[names.index(name)] for name in "xy")
        return x.to_numpy(zero_copy_only=False), y.to_numpy(zero_copy_only=False)
    if types.is_fixed_size_list(array.type) and array.type.list_size >= 2:
        size = array.type.list_size
        flat = array.values.to_numpy(zero_copy_only=False)[array.offset * size :]
        points = flat[: len(array) * size].reshape(-1, size)
        if array.null_count:
            missing = array.is_null().to_numpy(zero_copy_only=False)
            points = np.where(missing[:, None], np.nan, points)
        return points[:, 0], points[:, 1]
    raise TypeError(f"the Arrow type {array.type} is not one of GeoArrow for coordinates")


def _of_field(lines: Any) -> tuple[Any, str | None, Any]:
    """Return Arrow data that pyarrow reads, the name of its extension type, and its CRS, if they are known.

    An extension type that is not registered is only in the metadata of the field, which arrays of pyarrow do not have.
    """
    import pyarrow as pa

    if isinstance(lines, pa.Array | pa.ChunkedArray):
        return lines, *_of_type(lines.type)
    if hasattr(lines, "__arrow_c_array__"):
        field = pa.Field._import_from_c_capsule(lines.__arrow_c_array__()[0])
    else:
        stream = lines.__arrow_c_stream__()  # can be called once
        field = _field_of_stream(stream)
        lines = pa.ChunkedArray._import_from_c_capsule(stream)
    if isinstance(field.type, pa.BaseExtensionType):
        return lines, *_of_type(field.type)
    metadata = field.metadata or {}
    name = metadata.get(b"ARROW:extension:name")
    text = metadata.get(b"ARROW:extension:metadata")
    return lines, name.decode() if name else None, _crs((json.loads(text) if text else {}).get("crs"))


def _of_type(kind: Any) -> tuple[str | None, Any]:
    """Return the name of an extension type and its CRS."""
    import pyarrow as pa

    if not isinstance(kind, pa.BaseExtensionType):
        return None, None
    crs = getattr(kind, "crs", None)
    return kind.extension_name, _crs(getattr(crs, "to_json_dict", lambda: crs)())


class _ArrowStream(ctypes.Structure):
    """The struct ArrowArrayStream of the Arrow C stream interface."""

    _fields_ = [
        ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)),
        ("get_next", ctypes.c_void_p),
        ("get_last_error", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    ]


def _field_of_stream(capsule: Any) -> pa.Field:
    """Return the field of the arrays of a stream, with its metadata. pyarrow returns it for streams of tables only."""
    import pyarrow as pa

    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    address = pointer_of(("PyCapsule_GetPointer", ctypes.pythonapi))(capsule, b"arrow_array_stream")
    stream = _ArrowStream.from_address(address)
    if not stream.release:
        raise ValueError("the Arrow stream is released")
    schema = (ctypes.c_void_p * 9)()  # the struct ArrowSchema
    code = stream.get_schema(address, ctypes.addressof(schema))
    if code != 0:
        raise ValueError(f"the schema of the Arrow stream cannot be read: {os.strerror(code)}")
    return pa.Field._import_from_c(ctypes.addressof(schema))


def _crs(crs: Any) -> Any:
    """Return the CRS of the metadata of GeoArrow: PROJJSON, or a text such as EPSG:4326."""
    if crs is None or (isinstance(crs, str) and crs.upper() in ("OGC:CRS84", "EPSG:4326")):
        return None
    import pyproj

    return pyproj.CRS.from_user_input(crs)
