"""A small network that fits 8 x 8 digits: what `normcraft compare` runs without a model."""

from __future__ import annotations

import keras
from keras import layers

from normcraft.placements import Placement
from normcraft.recipes._build import AS_SEED, channels_last, finish
from normcraft.recipes._sizes import check_classes, check_image, check_size, check_sizes

__all__ = ["build"]


def build(
    placement: str | Placement = AS_SEED,
    *,
    input_shape: tuple[int, int, int] = (8, 8, 1),
    classes: int = 10,
    filters: tuple[int, int] = (16, 32),
    units: int = 64,
    kind: str = "batch",
) -> keras.Model:
    """Conv 16 → pool → Conv 32 → pool → Dense 64 → Dense softmax, plain, with `same` padding.

    It is the shape of `blog_cnn` at a size that trains in seconds. Adam, integer labels.

    Args:
        placement: `"as_seed"` (no normalization), or where normalization goes.
        input_shape: (height, width, channels), at least 4 x 4.
        classes: Number of classes.
        filters: Filters of the two convolutions.
        units: Width of the hidden Dense layer.
        kind: Kind of normalization.

    Returns:
        The compiled model.

    Example:
        >>> build().count_params()
        13706
    """
    check_image(input_shape, smallest=4)
    check_classes(classes)
    first, second = check_sizes("filters", filters, length=2)
    check_size("units", units)
    with channels_last():
        model = keras.Sequential(
            [
                keras.Input(tuple(input_shape), name="images"),
                layers.Conv2D(first, 3, padding="same", activation="relu", name="conv1"),
                layers.MaxPooling2D(2, name="pool1"),
                layers.Conv2D(second, 3, padding="same", activation="relu", name="conv2"),
                layers.MaxPooling2D(2, name="pool2"),
                layers.Flatten(name="flatten"),
                layers.Dense(units, activation="relu", name="dense1"),
                layers.Dense(classes, activation="softmax", name="dense2"),
            ],
            name="digits_cnn",
        )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return finish(model, placement, kind)
