"""Batch normalization that no training changes."""

from __future__ import annotations

import keras

from normcraft.layers.batch_normalization import BatchNormalization

__all__ = ["FrozenBatchNormalization"]


@keras.saving.register_keras_serializable(package="normcraft")
class FrozenBatchNormalization(BatchNormalization):
    """Batch normalization whose weights and averages stay as they are, in training too.

    y = gamma·(x − moving mean)/√(moving variance + ε) + beta, always. It takes the weights of
    `keras.layers.BatchNormalization`. Setting `trainable`, on the layer or on a model around it,
    has no effect: fine-tuning a network on small batches cannot thaw it by accident, as
    `trainable = False` on Keras's layer can.

    Args:
        **settings: Arguments of `BatchNormalization`.

    Example:
        >>> layer = FrozenBatchNormalization(epsilon=0.0)
        >>> y = layer(keras.ops.array([[1.0], [3.0]]), training=True)
        >>> keras.ops.convert_to_numpy(y).ravel().tolist()
        [1.0, 3.0]

    Source: the detection networks of He et al. (2017), "Mask R-CNN".
    """

    @property
    def trainable(self) -> bool:
        """False; what is set is not kept."""
        return False

    @trainable.setter
    def trainable(self, value: bool) -> None:
        del value
