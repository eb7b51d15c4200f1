"""Population statistics for batch normalization, re-estimated from data."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import keras
from keras.layers import BatchNormalization

from normcraft.kinds import batch
from normcraft.layers import BatchNormalization as OurBatchNormalization
from normcraft.layers import GhostBatchNormalization
from normcraft.surgery.probe import Probe, even_batches
from normcraft.surgery.running_moments import RunningMoments

__all__ = ["StatisticsProbe", "keeps_statistics", "why_kept"]

# Classes that compute batch normalization at inference; subclasses that keep their `call` do too.
KNOWN = (BatchNormalization, OurBatchNormalization, GhostBatchNormalization)


def keeps_statistics(layer: Any) -> bool:
    """Whether a layer is batch normalization whose statistics training would move.

    Returns:
        False for frozen layers and for subclasses that compute in their own way.
    """
    return isinstance(layer, BatchNormalization) and why_kept(layer) is None


def why_kept(layer: BatchNormalization) -> str | None:
    """Why the statistics of batch normalization are not re-estimated.

    Args:
        layer: Batch normalization of any class.

    Returns:
        The reason; None where they are.

    Example:
        >>> why_kept(BatchNormalization(trainable=False))
        'frozen (trainable=False): training leaves its statistics alone too'
    """
    if not any(_computes_alike(type(layer), known) for known in KNOWN):
        return f"{type(layer).__name__} computes in its own way"
    if not layer.trainable:
        return "frozen (trainable=False): training leaves its statistics alone too"
    return None


def _computes_alike(cls: Any, known: Any) -> bool:
    methods = ("__call__", "call", "_moments", "_normalized")  # the last two need not exist
    return all(getattr(cls, name, None) is getattr(known, name, None) for name in methods)


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
        by_batch: Whether these layers work on the statistics of each batch, as in training;
            otherwise on their moving statistics, as at inference.
        only: Which of the layers are meant, by `id`; None for all. The others work as at inference.

    Attributes:
        layers: The layers whose statistics are re-estimated.

    Example:
        >>> import numpy as np
        >>> layer = keras.layers.BatchNormalization()
        >>> model = keras.Sequential([keras.Input((1,)), layer])
        >>> StatisticsProbe(model).update(np.array([[1.0], [3.0]]))
        >>> batch.statistics(layer)
        (array([2.]), array([1.]))
    """

    def __init__(
        self, model: keras.Model, *, by_batch: bool = True, only: Collection[int] | None = None
    ) -> None:
        def chosen(layer: Any) -> bool:
            return keeps_statistics(layer) and (only is None or id(layer) in only)

        self._probe = Probe(model, chosen, by_batch=by_batch)
        self.layers = self._probe.layers

    @property
    def num_layers(self) -> int:
        """Number of layers whose statistics are re-estimated."""
        return len(self.layers)

    def measure(self, x: Any) -> RunningMoments:
        """The statistics over `x`, with the present weights of the model, which is left as it is.

        Args:
            x: As `update` takes it.

        Returns:
            Moments and counts of `layers`.
        """
        return self._probe.measure(x if isinstance(x, Iterator) else even_batches(x))

    def update(self, x: Any) -> None:
        """Replaces the statistics of the model's batch normalization by those over `x`.

        Args:
            x: Inputs as `Model.predict` takes them: arrays, or an iterator over batches of them.
        """
        if self.layers:
            for layer, found in zip(self.layers, self.measure(x).moments, strict=True):
                batch.set_statistics(layer, *found)
