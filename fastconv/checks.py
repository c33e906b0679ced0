"""Argument checks: each says at once which argument is wrong, what it was and what would be right."""

from __future__ import annotations

import math
import numbers
import operator

import numpy as np

DTYPES = ("float32", "float64", "float16", "bfloat16")
ACTIVATIONS = ("relu", "relu6", "leaky_relu", "sigmoid", "tanh", "silu", "hardswish", "gelu")
LEAKY_SLOPE = 0.01


def sequence(value: object) -> bool:
    """Whether a size argument is a tuple or list."""
    return isinstance(value, (tuple, list))


def integer(name: str, value: object, least: int) -> int:
    """A Python or NumPy int of at least `least`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an int, got {value!r} of type {type(value).__name__}")
    number = operator.index(value)
    if number < least:
        raise ValueError(f"{name}: expected at least {least}, got {number}")
    return number


def ints(name: str, value: object, count: int, least: int, scalar_only: bool = False) -> tuple[int, ...]:
    """One int for each of `count` axes, from one int or from a tuple or list of them."""
    if sequence(value) and not scalar_only:
        if len(value) != count:
            raise ValueError(f"{name}: expected an int or {count} ints, got {len(value)}: {value!r}")
        return tuple(integer(name, v, least) for v in value)
    return (integer(name, value, least),) * count


def dims(name: str, shape: object, count: int) -> tuple[int, ...]:
    """A shape of `count` sizes."""
    if not sequence(shape):
        raise TypeError(f"{name}: expected a shape of {count} ints, got {shape!r}")
    if len(shape) != count:
        raise ValueError(f"{name}: expected {count} axes, got {len(shape)} (shape {tuple(shape)})")
    return tuple(integer(name, v, 0) for v in shape)


def pads(padding: object, sizes, kernel, stride, dilation) -> tuple[tuple[int, int], ...]:
    """(before, after) of each spatial axis from any form of `padding`."""
    if isinstance(padding, str):
        if padding == "valid":
            return tuple((0, 0) for _ in sizes)
        if padding in ("same", "same_upper", "same_lower"):
            out = []
            for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
                total = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
                pair = (total // 2, total - total // 2)
                out.append(pair[::-1] if padding == "same_lower" else pair)
            return tuple(out)
        raise ValueError(f"padding: {padding!r} is not one of 'valid', 'same', 'same_upper', 'same_lower'")
    if sequence(padding) and any(sequence(p) for p in padding):
        if len(padding) != len(sizes):
            raise ValueError(f"padding: expected {len(sizes)} (before, after) pairs, got {padding!r}")
        return tuple(ints("padding", p, 2, 0) if sequence(p) else _not_a_pair(padding) for p in padding)
    return tuple((p, p) for p in ints("padding", padding, len(sizes), 0))


def _not_a_pair(padding: object):
    raise ValueError(f"padding: ints and (before, after) pairs cannot be mixed, got {padding!r}")


def activation_of(activation: object) -> tuple[str | None, float]:
    """(canonical name, slope) of an activation argument."""
    if activation is None:
        return None, 0.0
    name, slope = activation, LEAKY_SLOPE
    if sequence(activation):
        if len(activation) != 2 or activation[0] != "leaky_relu":
            raise ValueError(f"activation: only ('leaky_relu', slope) takes a parameter, got {activation!r}")
        name, slope = activation
        if isinstance(slope, (bool, np.bool_)) or not isinstance(slope, numbers.Real):
            raise TypeError(f"activation: the slope must be a real number, got {slope!r}")
        slope = float(slope)
        if not math.isfinite(slope):
            raise ValueError(f"activation: the slope must be finite, got {slope!r}")
    if not isinstance(name, str):
        raise TypeError(f"activation: expected None, a name or ('leaky_relu', slope), got {activation!r}")
    if name not in ACTIVATIONS:
        raise ValueError(f"activation: {name!r} is not one of {', '.join(map(repr, ACTIVATIONS))}")
    return name, slope if name == "leaky_relu" else 0.0


def array(name: str, value: object) -> np.ndarray:
    """An ndarray of a supported dtype in native byte order."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: expected a NumPy array, got {type(value).__name__}; convert it with numpy.asarray")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: masked arrays are not supported; fill it first, e.g. {name}.filled(0)")
    dtype_name(name, value.dtype)
    return value if type(value) is np.ndarray else value.view(np.ndarray)


def dtype_name(name: str, dtype: np.dtype) -> str:
    """The supported dtype's name."""
    if dtype.name not in DTYPES:
        raise TypeError(
            f"{name}: dtype {dtype} is not supported; use float32, float64, float16 or bfloat16, "
            f"e.g. {name}.astype(numpy.float32)"
        )
    if not dtype.isnative:
        raise TypeError(
            f"{name}: byte order of {dtype.str!r} is not this machine's; "
            f"use {name}.astype({name}.dtype.newbyteorder('='))"
        )
    return dtype.name


def same_dtype(x: np.ndarray, **others: np.ndarray | None) -> None:
    """All operands share x's dtype."""
    for name, other in others.items():
        if other is not None and other.dtype != x.dtype:
            raise TypeError(
                f"{name}: dtype {other.dtype} differs from x's {x.dtype}; use {name}.astype(x.dtype) or convert x"
            )


def output(out: object, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The caller's output array, checked."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out: expected a NumPy array, got {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out: shape {out.shape}, expected {shape}")
    if out.dtype != dtype:
        raise TypeError(f"out: dtype {out.dtype}, expected {dtype}")
    if not out.flags.writeable:
        raise ValueError("out: it is read-only")
    return out


def batch_norm_fold(weight: np.ndarray, bias: np.ndarray | None, batch_norm: object):
    """Fold (gamma, beta, mean, var, eps) into weight and bias, computed in float64 and rounded once."""
    if not sequence(batch_norm) or len(batch_norm) != 5:
        raise TypeError(f"batch_norm: expected (gamma, beta, mean, var, eps), got {batch_norm!r}")
    k = weight.shape[0]
    parts = []
    for name, part in zip(("gamma", "beta", "mean", "var"), batch_norm, strict=False):
        value = array(f"batch_norm's {name}", part)
        if value.shape != (k,):
            raise ValueError(f"batch_norm: {name} has shape {value.shape}, expected {(k,)}")
        parts.append(value.astype(np.float64))
    gamma, beta, mean, var = parts
    eps = batch_norm[4]
    if isinstance(eps, bool) or not isinstance(eps, numbers.Real):
        raise TypeError(f"batch_norm: eps must be a real number, got {eps!r}")
    if not (float(eps) >= 0 and math.isfinite(eps)):
        raise ValueError(f"batch_norm: eps must be finite and at least 0, got {eps!r}")
    if not np.all(var + float(eps) > 0):
        raise ValueError("batch_norm: var + eps must be positive")
    scale = gamma / np.sqrt(var + float(eps))
    shift = beta - mean * scale
    if bias is not None:
        shift = shift + bias.astype(np.float64) * scale
    folded = weight.astype(np.float64) * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return folded.astype(weight.dtype), shift.astype(weight.dtype)
