"""The steps of normalization on real values, in float64 NumPy: statistics, normalized, scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from normcraft.graph import unwrapped
from normcraft.layers import BatchNormalization, GhostBatchNormalization
from normcraft.moments import reference

__all__ = ["Steps", "channel_moments", "learned", "normalization_steps", "seen", "unscaled"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Steps:
    """What normalization makes of one batch, statistics of that batch throughout.

    Attributes:
        mean: Mean of each statistic, each once; zero for RMS normalization.
        variance: Biased variance, likewise; the mean square for RMS normalization.
        count: Values behind each statistic; behind those of the fullest part where the batch is
            taken in parts.
        normalized: (x − mean) / √(variance + ε).
        scaled: γ·normalized + β.
    """

    mean: Array
    variance: Array
    count: float
    normalized: Array
    scaled: Array


def channel_moments(x: Array, mask: Array | None, axis: int) -> tuple[Array, Array, float]:
    """Mean and biased variance of each channel over rows and positions, and values behind them.

    Args:
        x: Activations.
        mask: True where they count, without the axis of channels; None where all do.
        axis: Axis of the channels.

    Returns:
        Two float64 arrays of shape (channels,) and a count; NaN where nothing counts.

    Example:
        >>> channel_moments(np.array([[1.0, 5.0], [3.0, 5.0]]), None, -1)
        (array([2., 5.]), array([1., 0.]), 2)
    """
    rows = seen(x, mask, axis)
    if not len(rows):
        nothing = np.full(x.shape[axis], np.nan)
        return nothing, nothing, 0
    mean = rows.mean(axis=0, dtype="float64")
    return mean, np.square(rows - mean).mean(axis=0), len(rows)


def seen(x: Array, mask: Array | None, axis: int) -> Array:
    """What no mask hides, a row for each position of each sample.

    Args:
        x: Activations.
        mask: As `channel_moments` takes it.
        axis: Axis of the channels.

    Returns:
        An array of shape (positions, channels).

    Example:
        >>> seen(np.arange(6).reshape(1, 3, 2), np.array([[True, False, True]]), -1).tolist()
        [[0, 1], [4, 5]]
    """
    rows = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])
    return rows if mask is None else rows[_positions(x, mask, axis)]


def _positions(x: Array, mask: Array, axis: int) -> Array:
    # A mask of (rows, steps) says as much about what has further axes of positions.
    shape = np.moveaxis(x, axis, -1).shape[:-1]
    mask = np.asarray(mask, bool)
    return np.broadcast_to(
        mask.reshape(mask.shape + (1,) * (len(shape) - mask.ndim)), shape
    ).ravel()


def normalization_steps(layer: Any, x: Array, mask: Array | None) -> Steps:
    """The steps of a normalization layer on one batch, by the formula of its kind.

    Args:
        layer: Batch, layer, group or RMS normalization, built; also inside TimeDistributed.
        x: What it receives.
        mask: Its mask; None without one. Only batch normalization minds it.

    Returns:
        The steps.
    """
    inner = unwrapped(layer)
    if isinstance(inner, GhostBatchNormalization):
        mean, variance, count, normalized = _by_part(inner, x, mask)
    else:
        mean, variance, count = _statistics(layer, inner, x, mask)
        normalized = (x - mean) / np.sqrt(variance + inner.epsilon)
        mean, variance = _each_once(inner, mean), _each_once(inner, variance)
    scale, shift = (_spread(value, inner, x.ndim) for value in learned(layer))
    scaled = normalized if scale is None else normalized * scale
    scaled = scaled if shift is None else scaled + shift
    return Steps(mean, variance, count, normalized, scaled)


def learned(layer: Any) -> tuple[Array | None, Array | None]:
    """Scale and shift that a normalization layer has learned, in float64.

    Args:
        layer: A built layer; also inside TimeDistributed.

    Returns:
        Two arrays as the layer holds them; None for what it was built without.
    """
    inner = unwrapped(layer)
    is_rms = isinstance(inner, keras.layers.RMSNormalization)
    held = (inner.scale, None) if is_rms else (inner.gamma, inner.beta)
    scale, shift = (
        None if one is None else np.asarray(keras.ops.convert_to_numpy(one), "float64")
        for one in held
    )
    return scale, shift


def unscaled(layer: Any, y: Array) -> Array:
    """What a normalization layer gave before γ and β, taken back from what it gave.

    Args:
        layer: A built layer; also inside TimeDistributed.
        y: What it gave.

    Returns:
        (y − β) / γ; NaN where γ is zero.
    """
    inner = unwrapped(layer)
    scale, shift = (_spread(value, inner, y.ndim) for value in learned(layer))
    y = y if shift is None else y - shift
    return y if scale is None else y / np.where(scale == 0, np.nan, scale)


def _statistics(layer: Any, inner: Any, x: Array, mask: Array | None) -> tuple[Array, Array, float]:
    if isinstance(inner, keras.layers.BatchNormalization):
        # TimeDistributed hands over one step after another; ours takes the statistics of all.
        wrapped = layer is not inner
        axis = inner.axis + (wrapped and inner.axis >= 0)
        each_step = wrapped and not isinstance(inner, BatchNormalization)
        return _by_batch(each_step, axis, x, mask)
    if isinstance(inner, keras.layers.GroupNormalization):
        return _by_group(inner, x)
    axes = tuple(_axes(inner, x.ndim))
    count = int(np.prod([x.shape[axis] for axis in axes]))
    if isinstance(inner, keras.layers.RMSNormalization):
        square = np.square(x, dtype="float64").mean(axis=axes, keepdims=True)
        return np.zeros_like(square), square, count
    mean = x.mean(axis=axes, keepdims=True, dtype="float64")
    return mean, np.square(x - mean).mean(axis=axes, keepdims=True), count


def _by_part(
    layer: GhostBatchNormalization, x: Array, mask: Array | None
) -> tuple[Array, Array, float, Array]:
    form = {"virtual_batch_size": layer.virtual_batch_size, "epsilon": layer.epsilon}
    found = reference.ghost_batch_norm(x, axis=layer.axis, mask=mask, **form)
    return found.mean, found.variance, float(found.count.max()), found.y


def _by_batch(
    each_step: bool, axis: int, x: Array, mask: Array | None
) -> tuple[Array, Array, float]:
    # Each step is then normalized alone, and without a mask.
    if each_step:
        parts = [
            channel_moments(x[:, t], None, axis if axis < 0 else axis - 1)
            for t in range(x.shape[1])
        ]
        mean, variance = (np.stack([part[i] for part in parts]) for i in (0, 1))
        shape = [1] * x.ndim
        shape[1], shape[axis] = x.shape[1], x.shape[axis]
        return mean.reshape(shape), variance.reshape(shape), parts[0][2]
    mean, variance, count = channel_moments(x, mask, axis)
    shape = [1] * x.ndim
    shape[axis] = -1
    return mean.reshape(shape), variance.reshape(shape), count


def _by_group(inner: Any, x: Array) -> tuple[Array, Array, float]:
    axis = inner.axis % x.ndim if inner.axis < 0 else inner.axis
    last = np.moveaxis(x, axis, -1)
    groups = last.reshape(len(x), -1, inner.groups, x.shape[axis] // inner.groups)
    mean = groups.mean(axis=(1, 3), dtype="float64")
    variance = np.square(groups - mean[:, None, :, None]).mean(axis=(1, 3))

    def spread(value: Array) -> Array:
        wide = np.repeat(value, x.shape[axis] // inner.groups, axis=1)
        wide = wide.reshape(len(x), *([1] * (x.ndim - 2)), x.shape[axis])
        return np.moveaxis(wide, -1, axis)

    return spread(mean), spread(variance), groups.shape[1] * groups.shape[3]


def _each_once(inner: Any, values: Array) -> Array:
    # Channels of one group have one statistic.
    if not isinstance(inner, keras.layers.GroupNormalization):
        return values
    size = values.shape[inner.axis] // inner.groups
    return np.take(values, range(0, values.shape[inner.axis], size), inner.axis)


def _axes(inner: Any, rank: int) -> list[int]:
    own = inner.axis if isinstance(inner.axis, list | tuple) else [inner.axis]
    return sorted(axis % rank for axis in own)


def _spread(value: Array | None, inner: Any, rank: int) -> Array | None:
    # Along the axes that the layer learns for, ready to be multiplied with what it receives.
    if value is None:
        return None
    shape = [1] * rank
    for axis, size in zip(_axes(inner, rank), value.shape, strict=True):
        shape[axis] = size
    return value.reshape(shape)
