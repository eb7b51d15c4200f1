"""Insert normalization into a model."""

from __future__ import annotations

import keras

from normcraft.placements import Placement
from normcraft.surgery.place import place
from normcraft.surgery.result import EditResult

__all__ = ["insert_normalization"]


def insert_normalization(
    model: keras.Model,
    placement: str | Placement = "before_activation",
    *,
    kind: str = "batch",
) -> EditResult:
    """Puts normalization into a copy of a model; what is there already is removed first.

    A fused activation is split off where normalization goes in front of it, and a bias that batch
    normalization would subtract again is dropped.

    Args:
        model: A built Sequential or Functional model; it is not changed.
        placement: Where, for example `"before_activation"`, `"input+after_activation"`; begin with
            `"as_given+"` to keep normalization that is there.
        kind: `"batch"`, `"layer"`, `"group"`, `"instance"` or `"rms"`.

    Returns:
        The copy with what was inserted, removed and refused.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> model = Sequential([Input((4,)), layers.Dense(8, "relu", name="a"), layers.Dense(2)])
        >>> result = insert_normalization(model, "before_activation")
        >>> result.inserted, result.biases_dropped
        ((('a', 'batch'),), 1)
    """
    return place(model, placement, kind=kind)
