"""How moving averages weigh the batches that they have seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

__all__ = ["StepCounter", "momentum_after"]

MATURE = 2**30  # steps after which no initial value is left


class StepCounter(keras.layers.Layer):  # type: ignore[misc]
    """Counts the batches that a layer's averages hold.

    It is state and no weight: `layer.weights` stays what Keras's layer has. Weight files hold it
    beside the layer's weights, where Keras's own layer does not look for it.
    """

    def build(self, input_shape: Any = None) -> None:
        """Makes the counter, a single integer."""
        del input_shape
        self.count = self.add_weight(
            shape=(), initializer="zeros", dtype="int32", trainable=False, name="count"
        )
        self.built = True

    @property
    def weights(self) -> list[keras.Variable]:
        """None: what counts is not learned, and other layers need not have it."""
        return []

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Takes the count over; without one, averages that are not fresh count as old."""
        self.count.assign(store["0"] if list(store.keys()) else 0)

    def advance(self, *, fresh: Any, moved: Any) -> Any:
        """Counts one batch.

        Args:
            fresh: Whether the averages have their initial values.
            moved: Whether the batch moves them.

        Returns:
            Which batch it is, from 1. Averages that came without a count are old.
        """
        before = ops.cast(self.count, "int32")
        before = ops.where(ops.logical_and(before == 0, ops.logical_not(fresh)), MATURE, before)
        self.count.assign(ops.where(moved, ops.minimum(before + 1, MATURE), before))
        return before + 1


def momentum_after(step: Any, momentum: float | None) -> Any:
    """What the average so far weighs when batch number `step` comes.

    For a momentum m it is m·(1 − mᵗ⁻¹)/(1 − mᵗ): an average without initial values, in which every
    batch weighs m times as much as the next (as the corrected moments of Kingma and Ba, 2015,
    "Adam", section 3). Without a momentum it is (t − 1)/t: all batches weigh the same.

    Args:
        step: Which batch it is, from 1; an integer tensor.
        momentum: In [0, 1); None for the cumulative average.

    Returns:
        A float32 scalar in [0, 1).

    Example:
        >>> [round(float(momentum_after(ops.array(t), 0.9)), 4) for t in (1, 2, 1000)]
        [0.0, 0.4737, 0.9]
        >>> float(momentum_after(ops.array(4), None))
        0.75
    """
    before = ops.cast(step, "float32") - 1.0
    if momentum is None:
        return before / (before + 1.0)
    if momentum == 0:
        return ops.zeros_like(before)
    log = ops.log(ops.cast(momentum, "float32"))
    return momentum * ops.expm1(before * log) / ops.expm1((before + 1.0) * log)
