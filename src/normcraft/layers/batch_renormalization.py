"""Batch renormalization, with every Keras."""

from __future__ import annotations

from typing import Any

import keras

from normcraft.layers.batch_normalization import BatchNormalization

__all__ = ["BatchRenormalization"]


@keras.saving.register_keras_serializable(package="normcraft")
class BatchRenormalization(BatchNormalization):
    """Batch normalization that works in training nearly as it does at inference.

    y = ((x − mean)/√(variance + ε)·r + d)·gamma + beta, with the statistics of the batch and
    r = √(variance + ε)/deviation, d = (mean − average)/deviation, which count as constants for the
    gradient; average and deviation are moving averages of their own. It pays for small batches.
    It is `BatchNormalization(renorm=True)`, which Keras itself has from 3.14 on.

    Args:
        **settings: Arguments of `BatchNormalization`, `renorm_clipping` and `renorm_momentum` among
            them.

    Example:
        >>> layer = BatchRenormalization(renorm_clipping={"rmax": 3.0, "dmax": 5.0})
        >>> layer.build((None, 4))
        >>> [weight.name for weight in layer.non_trainable_weights]
        ['moving_mean', 'moving_variance', 'moving_stddev', 'renorm_mean', 'renorm_stddev']

    Source: Ioffe (2017), "Batch Renormalization", algorithm 1.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "renorm": True})
