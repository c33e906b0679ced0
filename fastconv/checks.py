"""Argument checks that every operator shares; each error names its argument and says what is right."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

ITEMSIZE = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1, "int32": 4}
FLOATS = ("float32", "float64", "float16", "bfloat16")
ACTIVATIONS = ("relu", "relu6", "leaky_relu", "sigmoid", "tanh", "silu", "hardswish", "gelu")
LEAKY_SLOPE = 0.01  # torch's default

_SUPPORTED = "float32, float64, float16 or bfloat16"
# By name and by dtype; bfloat16's dtype belongs to ml_dtypes and is added when the first such array comes.
_NAMES: dict[Any, str] = {name: name for name in FLOATS}
_NAMES |= {np.dtype(name): name for name in ("float32", "float64", "float16")}
# What maxima may be taken of besides.
_INTEGERS: dict[Any, str] = {np.dtype(name): name for name in ("int8", "uint8", "int32")}


def shown(value: object) -> str:
    """A value as an error message shows it: short, with its type."""
    text, kind = repr(value), type(value).__name__
    return f"{text} ({kind})" if len(text) <= 60 and "\n" not in text else f"a {kind}"


# Sizes and names


def as_size(name: str, value: object, least: int, expected: str = "an int") -> int:
    """A Python or NumPy int of at least `least` as an int."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be {expected}, not {shown(value)}")
    size = operator.index(value)
    if size < least:
        raise ValueError(f"{name} must be at least {least}, got {size}")
    if size > sys.maxsize:
        raise ValueError(f"{name} must be at most {sys.maxsize}, got {size}")
    return size


def as_shape(name: str, value: object, count: int, least: int) -> tuple[int, ...]:
    """A tuple or list of `count` ints as a tuple."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name} must be a tuple or list of {count} int{'s' * (count > 1)}, not {shown(value)}")
    if len(value) != count:
        raise ValueError(f"{name} must have {count} int{'s' * (count > 1)}, got {len(value)}: {tuple(value)}")
    return tuple(as_size(f"{name}[{i}]", entry, least) for i, entry in enumerate(value))


def as_sequence(name: str, value: object) -> tuple:
    """Any sequence, such as an array's shape, as a tuple."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a sequence of ints, not {shown(value)}")
    return tuple(value)


def as_sizes(name: str, value: object, count: int, least: int) -> tuple[int, ...]:
    """One int for all of `count` axes, or a tuple or list with one for each, as a tuple."""
    if isinstance(value, (tuple, list)):
        return as_shape(name, value, count, least)
    return (as_size(name, value, least, f"an int or {count} int{'s' * (count > 1)}"),) * count


def as_real(name: str, value: object) -> float:
    """A finite Python or NumPy real number as a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a real number, not {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    return number


def check_bool(name: str, value: object) -> None:
    """True or False, and no number."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, not {shown(value)}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """One of a few strings."""
    names = ", ".join(repr(choice) for choice in choices)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {names}, not {shown(value)}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {names}, got {value!r}")
    return value


def as_activation(name: str, value: object) -> tuple[str | None, float]:
    """An activation's canonical name and its slope, which is 0 for all but leaky_relu."""
    if value is None:
        return None, 0.0
    if isinstance(value, (tuple, list)):
        if len(value) != 2 or value[0] != "leaky_relu":
            raise ValueError(f"{name} takes a parameter only as ('leaky_relu', slope), got {shown(value)}")
        # Adding 0 turns -0.0 into 0.0: the two are equal, so problems that differ in it would share one plan.
        return "leaky_relu", as_real(f"{name}'s slope", value[1]) + 0.0
    if not isinstance(value, str):
        raise TypeError(f"{name} must be None, a name or ('leaky_relu', slope), not {shown(value)}")
    check_choice(name, value, ACTIVATIONS)
    return value, LEAKY_SLOPE if value == "leaky_relu" else 0.0


# Arrays


def dtype_name(dtype: Any, integers: bool = False) -> str:
    """The name of a supported dtype, given as a dtype, a scalar type or a name; `integers`: int8 and so on too."""
    name = _lookup(dtype, integers)
    if name is None:
        raise TypeError(f"dtype must be {_supported(integers)}, not {shown(dtype)}")
    return name


def _supported(integers: bool) -> str:
    return f"{', '.join(_INTEGERS.values())}, {_SUPPORTED}" if integers else _SUPPORTED


def _lookup(dtype: Any, integers: bool = False) -> str | None:
    """The supported name of a dtype, or None."""
    try:
        return _NAMES[dtype]
    except (KeyError, TypeError):  # a TypeError if it cannot be hashed
        pass
    if dtype is None:  # which NumPy would take for float64
        return None
    try:
        exact = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        return None
    if exact.name == "bfloat16" and exact.isnative and exact.itemsize == 2:
        _NAMES[exact] = "bfloat16"
    return _NAMES.get(exact) or (_INTEGERS.get(exact) if integers else None)


def check_array(name: str, value: object, ndim: int | tuple[int, ...], integers: bool = False) -> np.ndarray:
    """A plain NumPy array of a supported dtype, native byte order and `ndim` axes (a count or several)."""
    array = value if type(value) is np.ndarray else _plain(name, value)
    if array.dtype not in _NAMES and _lookup(array.dtype, integers) is None:
        raise TypeError(_dtype_advice(name, array.dtype, integers))
    check_axes(name, array, ndim)
    return array


def check_axes(name: str, array: np.ndarray, ndim: int | tuple[int, ...]) -> None:
    """An array must have `ndim` axes (a count or several)."""
    counts = ndim if isinstance(ndim, tuple) else (ndim,)
    if array.ndim not in counts:
        axes = " or ".join(str(count) for count in counts)
        raise ValueError(f"{name} must have {axes} axes, got {array.ndim}: shape {array.shape}")


def _plain(name: str, value: object) -> np.ndarray:
    """A subclass's data as a base-class view; masked arrays are refused, as their mask would be lost."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array: fill it first, for example {name}.filled(0)")
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, not {type(value).__name__}: use np.asarray({name})")
    return value.view(np.ndarray)


def check_indices(name: str, value: object, shape: tuple[int, ...]) -> np.ndarray:
    """A plain NumPy array of int64 of this shape."""
    array = value if type(value) is np.ndarray else _plain(name, value)
    if array.dtype != np.dtype(np.int64) or not array.dtype.isnative:
        raise TypeError(f"{name} must be int64, as max pools return them, not {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return array


def _dtype_advice(name: str, dtype: np.dtype, integers: bool = False) -> str:
    """What is wrong with an array's dtype, and what to do."""
    supported = _supported(integers)
    if not dtype.isnative and _lookup(dtype.newbyteorder("="), integers) is not None:
        return (
            f"{name} has dtype {dtype}, which is not this machine's byte order: "
            f'use {name}.astype({name}.dtype.newbyteorder("="))'
        )
    if dtype.kind == "c":
        return f"{name} must be {supported}, not {dtype}: take {name}.real and {name}.imag separately"
    return f"{name} must be {supported}, not {dtype}: convert it, for example {name}.astype(np.float32)"


def check_same_dtype(*arrays: np.ndarray | None, names: tuple[str, ...] = ("x", "weight", "bias", "residual")) -> str:
    """The name of the one dtype that all given arrays share; those that are None do not count."""
    first = arrays[0].dtype
    for name, array in zip(names[1:], arrays[1:], strict=False):
        if array is not None and array.dtype != first:
            raise TypeError(
                f"{name} is {array.dtype}, but {names[0]} is {first}: they must share one dtype, "
                f"for example {name}.astype({names[0]}.dtype)"
            )
    return dtype_name(first)


def check_out(out: object, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """`out` as a plain array that a result of this shape and dtype can be written to."""
    array = out if type(out) is np.ndarray else _plain("out", out)
    if array.dtype != dtype:
        raise TypeError(f"out must be {dtype} like the inputs, not {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"out must have the result's shape {shape}, got {array.shape}")
    if not array.flags.writeable:
        raise ValueError("out must be writeable, but it is read-only")
    if array.size and any(step == 0 and size > 1 for step, size in zip(array.strides, shape, strict=True)):
        raise ValueError(f"out must not repeat its elements, but its strides are {array.strides}")
    return array


def shape_of(name: str) -> str:
    """A shape in messages: an array's attribute, or an argument that is one."""
    return name if name.endswith("_shape") else f"{name}.shape"


def check_not_empty(name: str, axes: dict[str, int], shape: tuple[int, ...]) -> None:
    """No axis but the batch may be empty."""
    for axis, size in axes.items():
        if size == 0:
            raise ValueError(f"{name} has no {axis} (shape {shape}); only the batch axis may be empty")
