"""Take normalization out of a model."""

from __future__ import annotations

import keras

from normcraft.surgery.place import place
from normcraft.surgery.result import EditResult

__all__ = ["remove_normalization"]


def remove_normalization(model: keras.Model) -> EditResult:
    """A copy of a model without its normalization; its function changes.

    Batch, Layer, Group and RMS normalization go; preprocessing `Normalization` stays. A layer
    without bias that loses the shift of the normalization right behind it gets a zero bias.

    Args:
        model: A built Sequential or Functional model; it is not changed.

    Returns:
        The copy with what was removed.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> model = Sequential([Input((4,)), layers.Dense(2), layers.BatchNormalization(name="bn")])
        >>> remove_normalization(model).removed
        ('bn',)
    """
    return place(model, "none")
