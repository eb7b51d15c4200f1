"""What one call of normalization, or one site, looks like on one batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from normcraft.diagnostics.distribution import Distribution
from normcraft.diagnostics.explanation import LayerExplanation, Mode, Spread
from normcraft.diagnostics.findings import layer_findings
from normcraft.diagnostics.places import Place
from normcraft.diagnostics.steps import (
    channel_moments,
    learned,
    normalization_steps,
    seen,
    unscaled,
)
from normcraft.diagnostics.walk import INFERENCE, Passing
from normcraft.diagnostics.warm_up import (
    initial_weight,
    keeps_averages,
    settled_step,
    weighing,
)
from normcraft.graph import unwrapped
from normcraft.kinds import kind_of
from normcraft.surgery.differences import moved_by

__all__ = ["look", "mean_gap"]

Array = np.ndarray[Any, np.dtype[Any]]
DEFAULT_EPSILON = 1e-3
TENTH = 0.1
FORMULA = 0.02  # relative; float16 rounds by less


def look(place: Place, passing: Passing, steps: int | None) -> LayerExplanation:
    """Explains one call as it happens.

    Args:
        place: What is looked at.
        passing: The call, in training mode and at inference.
        steps: Training steps so far, or None.

    Returns:
        The explanation, findings included.
    """
    with np.errstate(all="ignore"):
        facts = _of_site(place, passing) if place.placement else _of_layer(place, passing, steps)
    explanation = LayerExplanation(name=place.call.site, placement=place.placement, **facts)
    return replace(explanation, findings=layer_findings(explanation))


def mean_gap(a: Array, b: Array) -> float:
    """mean|a − b| / mean|a|, 0 where both are zero.

    Args:
        a: Values in training mode.
        b: Values at inference.

    Returns:
        A number, infinite where only a is zero.

    Example:
        >>> mean_gap(np.array([1.0, -3.0]), np.array([1.0, -2.0]))
        0.25
    """
    apart, size = float(np.mean(np.abs(a - b))), float(np.mean(np.abs(a)))
    return apart / size if size else apart and float("inf")


def _of_site(place: Place, passing: Passing) -> dict[str, Any]:
    mask = _mask(passing.mask_behind)
    trained = _array(passing.gave[0])
    mean, variance, count = channel_moments(trained, mask, place.axis)
    rows = seen(trained, mask, place.axis)
    return _received(place, passing.gave, mask) | {
        "kind": None,
        "mode": None,
        **dict.fromkeys(("moving_mean", "moving_variance", "scale", "shift")),
        **dict.fromkeys(("epsilon", "epsilon_share", "epsilon_over_tenth")),
        "effective_samples": count,
        "statistics": len(mean),
        "statistic_mean": _spread(mean),
        "statistic_std": _spread(np.sqrt(variance)),
        **dict.fromkeys(("momentum", "initial_weight", "settled_step", "own_gap")),
        **_gaps(place, passing.gave, mask),
        "normalized": Distribution.of((rows - mean) / np.sqrt(variance + DEFAULT_EPSILON)),
        **dict.fromkeys(("scaled", "at_inference")),
    }


def _of_layer(place: Place, passing: Passing, steps: int | None) -> dict[str, Any]:
    inner, mask = unwrapped(passing.layer), _mask(passing.mask)
    x, y = _array(passing.received[0]), _array(passing.gave[0])
    found = normalization_steps(passing.layer, x, mask)
    scale, shift = learned(passing.layer)
    share = inner.epsilon / found.variance

    def distribution(values: Array) -> Distribution | None:
        rows = seen(values, mask, place.axis)
        return Distribution.of(rows[:, ~np.isnan(rows).all(axis=0)])

    return _received(place, passing.received, mask) | {
        "kind": kind_of(inner) or _own_name(inner),
        "mode": _mode(place),
        "scale": _listed(scale, x.shape[place.axis]),
        "shift": _listed(shift, x.shape[place.axis]),
        "epsilon": float(inner.epsilon),
        "epsilon_share": float(np.max(share)),
        "epsilon_over_tenth": float(np.mean(share >= TENTH)),
        "effective_samples": found.count,
        "statistics": int(found.variance.size),
        "statistic_mean": _spread(found.mean),
        "statistic_std": _spread(np.sqrt(found.variance)),
        **_moving(inner, steps),
        **_gaps(place, passing.gave, mask),
        "own_gap": _own_gap(place, passing, mask),
        "normalized": distribution(
            found.normalized
            if moved_by(found.scaled, y)[1] <= FORMULA
            else unscaled(passing.layer, y)
        ),
        "scaled": distribution(y),
        "at_inference": distribution(_array(passing.gave[1])),
    }


def _received(place: Place, tensors: tuple[Any, ...], mask: Array | None) -> dict[str, Any]:
    # In training mode and at inference; where both are the same, they are looked at once.
    x = _array(tensors[0])
    moments = channel_moments(x, mask, place.axis)[:2]
    alike = tensors[0] is tensors[1]
    other = moments if alike else channel_moments(_array(tensors[1]), mask, place.axis)[:2]
    names = ("mean", "variance", "inference_mean", "inference_variance")
    found = dict(zip(names, map(_listed, (*moments, *other)), strict=True))
    return found | {"received": Distribution.of(seen(x, mask, place.axis))}


def _moving(inner: Any, steps: int | None) -> dict[str, Any]:
    if not keeps_averages(inner):
        names = ("moving_mean", "moving_variance", "momentum", "initial_weight", "settled_step")
        return dict.fromkeys(names)
    mean, variance = map(keras.ops.convert_to_numpy, (inner.moving_mean, inner.moving_variance))
    return {
        "moving_mean": _listed(np.asarray(mean, "float64")),
        "moving_variance": _listed(np.asarray(variance, "float64")),
        "momentum": inner.momentum,
        "initial_weight": None if steps is None else initial_weight(weighing(inner), steps),
        "settled_step": settled_step(weighing(inner)),
    }


def _gaps(place: Place, tensors: tuple[Any, ...], mask: Array | None) -> dict[str, float]:
    if tensors[0] is tensors[1]:
        return {"train_inference_gap": 0.0, "mean_gap": 0.0}
    pair = [seen(_array(tensor), mask, place.axis) for tensor in tensors]
    return {"train_inference_gap": moved_by(*pair)[1], "mean_gap": mean_gap(*pair)}


def _own_gap(place: Place, passing: Passing, mask: Array | None) -> float:
    if not keeps_averages(unwrapped(passing.layer)) or place.call.training is not None:
        return 0.0
    return _gaps(place, (passing.gave[0], passing.again(INFERENCE)), mask)["train_inference_gap"]


def _mode(place: Place) -> Mode:
    layer = place.call.layer
    if not layer.trainable:
        return "frozen"
    fixed = place.call.training is False and keeps_averages(unwrapped(layer))
    return "inference" if fixed else "training"


def _own_name(inner: Any) -> str:
    return "batch_renorm" if getattr(inner, "renorm", False) else type(inner).__name__


def _array(tensor: Any) -> Array:
    value = np.asarray(keras.ops.convert_to_numpy(tensor))
    return value if value.dtype in {np.float32, np.float64} else value.astype("float32")


def _mask(mask: Any) -> Array | None:
    return None if mask is None else np.asarray(keras.ops.convert_to_numpy(mask), bool)


def _listed(values: Array | None, channels: int | None = None) -> tuple[float, ...] | None:
    # Scales of several axes are no list of channels.
    if values is None or (channels is not None and values.shape != (channels,)):
        return None
    return tuple(np.asarray(values, "float64").tolist())


def _spread(values: Array) -> Spread | None:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    return float(finite.min()), float(np.median(finite)), float(finite.max())
