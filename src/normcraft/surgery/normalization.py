"""The normalization layers that an edit builds, and the values they take over."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from normcraft.kinds import kind_of, load_kind
from normcraft.surgery.copies import copy_layer, edited_config
from normcraft.surgery.planning import Insertion
from normcraft.surgery.transfer import copy_weights

__all__ = ["absorb", "build_normalization", "carry_over"]

Array = np.ndarray[Any, np.dtype[Any]]
SETTINGS = (
    *("epsilon", "center", "scale"),
    *("beta_initializer", "beta_regularizer", "beta_constraint"),
    *("gamma_initializer", "gamma_regularizer", "gamma_constraint"),
)


def build_normalization(insertion: Insertion) -> keras.layers.Layer:
    """The layer of an insertion, not yet built.

    Args:
        insertion: What to build. Of an origin it takes the settings that its kind has too.

    Returns:
        A Keras layer.
    """
    origin = insertion.origin
    if origin is not None and kind_of(origin) == insertion.kind:
        changed = edited_config(origin, name=insertion.name, axis=insertion.axis)
        return copy_layer(origin, changed)
    kind = load_kind(str(insertion.kind))
    layer = kind.build(insertion.axis, insertion.name, shape=insertion.shape, dtype=insertion.dtype)
    if origin is None:
        return layer
    own, given = layer.get_config(), origin.get_config()
    taken = {name: given[name] for name in SETTINGS if name in own and name in given}
    return copy_layer(layer, edited_config(layer, **taken))


def carry_over(origin: Any, layer: Any) -> list[tuple[Any, Any]]:
    """Gives a layer the learned scale and shift of another, and its statistics if both have them.

    Args:
        origin: Normalization of the model.
        layer: What takes its place, built.

    Returns:
        `(old, new)` variables of those that are the same weight.
    """
    if type(origin) is type(layer):
        return copy_weights(origin, layer)
    before, after = (load_kind(str(kind_of(one))) for one in (origin, layer))
    learned = zip(before.learned(origin), after.learned(layer), strict=True)
    pairs = [(old, new) for old, new in learned if old is not None and new is not None]
    for old, new in pairs:
        new.assign(keras.ops.reshape(keras.ops.convert_to_numpy(old), new.shape))
    if hasattr(before, "statistics") and hasattr(after, "set_statistics"):
        after.set_statistics(layer, *before.statistics(origin))
    return pairs


def absorb(layer: Any, scale: Array | None, shift: Array) -> None:
    """Lets normalization that keeps statistics compute what its input no longer does.

    Its output at inference becomes what it was for scale·x + shift instead of x: gamma grows by
    that factor, beta by the shift times the factor of its own affine form.

    Args:
        layer: A built layer whose kind has an affine form.
        scale: Shape (channels,), or None for 1.
        shift: Shape (channels,).
    """
    kind = load_kind(str(kind_of(layer)))
    affine = kind.inference_affine(layer)
    if affine is None or layer.beta is None:
        return
    beta = np.asarray(keras.ops.convert_to_numpy(layer.beta), "float64")
    layer.beta.assign((beta + affine[0] * shift).astype(layer.beta.dtype))
    if scale is not None:
        gamma = np.asarray(keras.ops.convert_to_numpy(layer.gamma), "float64")
        layer.gamma.assign((gamma * scale).astype(layer.gamma.dtype))
