"""Folding an inference-time batch normalisation into the weight and bias of the convolution before it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.checks import as_real, check_array, shown

STATISTICS = ("gamma", "beta", "mean", "var")


def batch_norm_fold(weight: np.ndarray, bias: np.ndarray | None, batch_norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of gamma * (conv - mean) / sqrt(var + eps) + beta, in float64 and rounded once."""
    if not isinstance(batch_norm, (tuple, list)):
        raise TypeError(f"batch_norm must be (gamma, beta, mean, var, eps), not {shown(batch_norm)}")
    if len(batch_norm) != 5:
        raise ValueError(f"batch_norm must be (gamma, beta, mean, var, eps), got {len(batch_norm)} values")
    k = weight.shape[0]
    gamma, beta, mean, var = (
        _statistic(name, value, k) for name, value in zip(STATISTICS, batch_norm[:4], strict=True)
    )
    eps = as_real("batch_norm's eps", batch_norm[4])
    if eps < 0:
        raise ValueError(f"batch_norm's eps must be at least 0, got {eps}")
    if not np.all(var + eps > 0):  # a NaN variance is refused too
        raise ValueError(f"batch_norm's var + eps must be positive, got var {var.min()} and eps {eps}")

    scale = gamma / np.sqrt(var + eps)
    shift = -mean if bias is None else bias.astype(np.float64) - mean
    folded = weight.astype(np.float64) * scale.reshape(k, *[1] * (weight.ndim - 1))
    return _rounded(folded, weight.dtype), _rounded(shift * scale + beta, weight.dtype)


def _statistic(name: str, value: Any, k: int) -> np.ndarray:
    """One of batch_norm's arrays in float64."""
    array = check_array(f"batch_norm's {name}", value, 1)
    if array.shape != (k,):
        raise ValueError(f"batch_norm's {name} must have shape {(k,)}, got {array.shape}")
    return array.astype(np.float64)


def _rounded(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """float64 values rounded once to a dtype."""
    if dtype.name != "bfloat16":
        return values.astype(dtype)
    # ml_dtypes rounds to float32 and then to bfloat16. If the first step rounds to odd (toward zero, with the
    # last bit set if anything was lost), the second gives what one rounding would (Boldo, Melquiond, 2008).
    single = values.astype(np.float32)
    too_far = np.abs(single) > np.abs(values)
    inexact = single != values
    bits = single.view(np.uint32)
    bits -= too_far
    bits |= inexact
    return single.astype(dtype)
