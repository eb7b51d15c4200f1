"""Population statistics for batch normalization, re-estimated from data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras.layers import BatchNormalization

from normcraft.kinds import batch
from normcraft.surgery.probe import Probe

__all__ = ["StatisticsProbe", "keeps_statistics"]


def keeps_statistics(layer: Any) -> bool:
    """Whether a layer is batch normalization whose statistics training would move.

    Returns:
        False for frozen layers and for subclasses that compute in their own way.
    """
    plain = batch.matches(layer) and type(layer).call is BatchNormalization.call
    return plain and layer.trainable


class StatisticsProbe:
    """Re-estimates the moving statistics of a model's batch normalization from data.

    The probe is a copy of the model in which each batch normalization uses the statistics of its
    batch and hands them out; dropout is off. It is compiled once and serves any number of weights
    of the same model. Frozen layers, and calls with `training=False` baked in, keep theirs.

    The statistics of a layer are those of its input over the whole data, with the normalization
    before it working on batch statistics of up to 256 samples (the precise statistics of Wu and
    Johnson, 2021, "Rethinking 'Batch' in BatchNorm", section 3).

    Args:
        model: A built model.

    Example:
        >>> import numpy as np
        >>> layer = keras.layers.BatchNormalization()
        >>> model = keras.Sequential([keras.Input((1,)), layer])
        >>> StatisticsProbe(model).update(np.array([[1.0], [3.0]]))
        >>> batch.statistics(layer)
        (array([2.]), array([1.]))
    """

    def __init__(self, model: keras.Model) -> None:
        self._probe = Probe(model, keeps_statistics, by_batch=True)

    @property
    def num_layers(self) -> int:
        """Number of layers whose statistics are re-estimated."""
        return len(self._probe.layers)

    def update(self, x: Any) -> None:
        """Replaces the statistics of the model's batch normalization by those over `x`.

        Args:
            x: Inputs as `Model.predict` takes them: arrays, or an iterator over batches of them.
        """
        if self._probe.layers:
            in_batches = isinstance(x, Iterator)
            moments = self._probe.measure(x) if in_batches else self._probe.run(x)[1]
            for layer, found in zip(self._probe.layers, moments, strict=True):
                batch.set_statistics(layer, *found)
