"""Conversion of arguments to arrays of numpy, for the extension module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

#: The number of units of 1e-7 degree in a degree.
_E7 = 1e7
#: The types and units that columns may have, for messages.
_DEGREES = "float64 (degrees) or int32 (1e-7 degree)"
_METRES = "numbers of metres"
_PLANAR = "numbers"


def coordinates(x: Any, y: Any, names: tuple[str, str], planar: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return two columns of coordinates as arrays of float64 (degrees), or both of int32 (1e-7 degree).

    Missing values become NaN. The extension module calls this for everything but arrays of these types.
    """
    columns = [_column(values, name, _PLANAR if planar else _DEGREES) for values, name in zip((x, y), names)]
    is_int = [column.dtype == np.int32 for column, _ in columns]
    if all(is_int) and all(missing is None for _, missing in columns):
        return columns[0][0], columns[1][0]
    if is_int[0] != is_int[1]:
        dtypes = [getattr(values, "dtype", column.dtype) for values, (column, _) in zip((x, y), columns)]
        raise TypeError(
            f"{names[0]} has the type {dtypes[0]} and {names[1]} the type {dtypes[1]}; "
            "int32 is in units of 1e-7 degree, so that both must be int32 or neither"
        )
    scale = _E7 if is_int[0] and not planar else 1.0
    first, second = (_as_float(column, missing, scale) for column, missing in columns)
    return first, second


def column(values: Any, name: str) -> NDArray[np.float64]:
    """Return numbers as an array of float64, in which missing values are NaN."""
    return _as_float(*_column(values, name, _METRES), 1.0)


def _as_float(column: NDArray[Any], missing: NDArray[np.bool_] | None, scale: float) -> NDArray[np.float64]:
    floats = column.astype(np.float64, copy=False)
    if scale != 1.0:
        floats = floats / scale
    if missing is not None:
        floats = np.where(missing, np.nan, floats)
    return floats


def _column(values: Any, name: str, expected: str) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return numbers as an array of float64 or int32, and which of them are missing."""
    missing: NDArray[np.bool_] | None = None
    if isinstance(values, np.ma.MaskedArray):
        missing = np.ma.getmaskarray(values) if np.ma.is_masked(values) else None
        array = np.ma.getdata(values)
    elif has_arrow(values) and not has_numpy_dtype(values):
        array, missing = _from_arrow(values, name, expected)
    else:
        _check_unit(values, name, expected)
        array = _as_array(values, name)
    check_dimensions(array, values, name)
    if array.dtype.kind == "i" and array.dtype.itemsize == 4:  # also with the other order of bytes
        return np.require(array, np.int32, "A"), missing
    if array.dtype.kind in "iuf":
        return np.require(array, np.float64, "A"), missing
    if array.dtype.kind == "O":
        return _from_objects(array, name), missing
    raise TypeError(f"{name} has the type {array.dtype}; use {expected}")


def check_dimensions(array: NDArray[Any], values: Any, name: str, use: str = "an array or a list") -> None:
    """Check that `array`, which numpy has made of `values`, has one dimension. `use` is what the argument must be."""
    if array.ndim == 0 or isinstance(values, bytes | bytearray):
        raise TypeError(f"{name} is {_kind(values)}; use {use}")
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, but its shape is {array.shape}")


def _kind(value: Any) -> str:
    """Return what a value that is not an array is."""
    if value is None or isinstance(value, bytes):
        return "None" if value is None else "bytes"
    kind = value.dtype.kind if isinstance(value, np.ndarray | np.generic) else ""
    if kind in tuple("biufc") or isinstance(value, int | float | complex):
        return "a number"
    found = value.dtype.name if isinstance(value, np.ndarray) else type(value).__name__
    return f"{'an' if found[0] in 'aeiouAEIOU' else 'a'} {found}"


def _check_unit(values: Any, name: str, expected: str) -> None:
    """Refuse columns of libraries of units, such as astropy and pint, that have another unit than degrees or metres."""
    if type(values).__module__.partition(".")[0] == "pandas":  # whose attributes are labels
        return
    for attribute in ("unit", "units"):
        unit = getattr(values, attribute, None)
        if unit is None or str(unit).lower() in _UNITS[expected]:
            continue
        of_unit = {_DEGREES: " in degrees", _METRES: " in metres", _PLANAR: ""}[expected]
        raise TypeError(f"{name} has a unit ({unit}); pass numbers{of_unit} without it")


#: The units of columns that are read without a conversion.
_UNITS = {
    _DEGREES: ("deg", "degree", "degrees", "degree_east", "degree_north", "degrees_east", "degrees_north"),
    _METRES: ("m", "meter", "meters", "metre", "metres"),
    _PLANAR: (),
}


def _as_array(values: Any, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be converted to an array: {error}") from error
    # Whole numbers of Python are degrees, whatever the default type of numpy is.
    if isinstance(values, list | tuple | range) and array.dtype.kind in "iu":
        return array.astype(np.float64)
    # An empty list has no numbers that decide the type.
    return array.astype(np.float64) if array.size == 0 and array.dtype.kind == "O" else array


def _from_objects(array: NDArray[Any], name: str) -> NDArray[np.float64]:
    floats = np.empty(len(array))
    for index, value in enumerate(array):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            floats[index] = np.nan
        elif isinstance(value, str | bytes | bool):
            raise TypeError(f"{name}: index {index} is {value!r}, which is not a number")
        else:
            try:
                floats[index] = value
            except (TypeError, ValueError, OverflowError):
                raise TypeError(f"{name}: index {index} is {value!r}, which is not a number") from None
    return floats


def has_arrow(values: Any) -> bool:
    """Return whether an object has the Arrow PyCapsule interface."""
    return hasattr(values, "__arrow_c_array__") or hasattr(values, "__arrow_c_stream__")


def has_numpy_dtype(values: Any) -> bool:
    """Return whether an object is an array of numpy or a series of pandas that has one."""
    return isinstance(getattr(values, "dtype", None), np.dtype)


def arrow_chunks(values: Any) -> pa.Array | pa.ChunkedArray:
    """Return the content of an object with the Arrow PyCapsule interface as an array, or in its chunks if it has others."""
    import pyarrow as pa

    if isinstance(values, pa.Array):
        return values
    if hasattr(values, "__arrow_c_array__"):
        return pa.array(values)
    chunked = pa.chunked_array(values)
    return chunked.chunk(0) if chunked.num_chunks == 1 else chunked


def arrow_array(values: Any) -> pa.Array:
    """Return the content of an object with the Arrow PyCapsule interface as one array."""
    import pyarrow as pa

    array = arrow_chunks(values)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def encoded(array: pa.Array | pa.ChunkedArray) -> tuple[NDArray[np.int32], pa.Array]:
    """Return a number for each value, and the values of the numbers. Equal values have equal numbers.

    Chunks are encoded one by one: one array of type string or binary cannot have more than 2 GiB of text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.dictionary_encode(array, null_encoding="encode")
    if isinstance(found, pa.Array):
        return found.indices.to_numpy(), found.dictionary
    if not found.num_chunks:
        return np.empty(0, np.int32), pa.nulls(0, array.type)
    # All chunks have the same dictionary.
    return np.concatenate([chunk.indices.to_numpy() for chunk in found.chunks]), found.chunk(0).dictionary


def without_views(array: Any, large: bool = True) -> Any:
    """Return an array, or an array in chunks, with texts and bytes in a layout for which pyarrow has a selection."""
    import pyarrow as pa
    import pyarrow.types as types

    if types.is_string_view(array.type):
        return array.cast(pa.large_string() if large else pa.string())
    if types.is_binary_view(array.type):
        return array.cast(pa.large_binary() if large else pa.binary())
    return array


def comparable(array: pa.Array) -> pa.Array:
    """Return keys in which equal numbers have equal bits: -0.0 becomes 0.0, and NaN becomes null."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    if not types.is_floating(array.type):
        return array
    # There is no addition of float16.
    numbers = array.cast(pa.float32()) if types.is_float16(array.type) else array
    return pc.if_else(pc.is_nan(numbers), None, pc.add(numbers, pc.cast(0.0, numbers.type))).cast(array.type)


def _from_arrow(values: Any, name: str, expected: str) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    import pyarrow as pa
    import pyarrow.types as types

    array = arrow_array(values)
    if isinstance(array, pa.ChunkedArray):  # without chunks
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.nulls(0, array.type)
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_null(array.type):
        return np.full(len(array), np.nan), None
    if types.is_boolean(array.type) or not (
        types.is_integer(array.type) or types.is_floating(array.type) or types.is_decimal(array.type)
    ):
        raise TypeError(f"{name} has the Arrow type {array.type}; use {expected}")
    if not (types.is_int32(array.type) or types.is_float64(array.type)):
        array = array.cast(pa.float64(), safe=False)
    if array.null_count == 0:
        return array.to_numpy(zero_copy_only=True), None
    missing = array.is_null().to_numpy(zero_copy_only=False)
    return array.fill_null(0).to_numpy(zero_copy_only=False), missing
