"""Batch normalization as the first layer of a convolutional network, on raw inputs (seed 003)."""

from __future__ import annotations

import keras
from keras import layers

from normcraft.placements import Placement
from normcraft.recipes._build import AS_SEED, channels_last, finish, seed_kind, seeded
from normcraft.recipes._sizes import check_classes, check_image

__all__ = ["build"]


def build(
    placement: str | Placement = AS_SEED,
    *,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    kind: str = "batch",
) -> keras.Model:
    """BN → Conv 32 → Conv 64 → pool → Dense softmax: the network scales its own raw inputs.

    Feed it pixels from 0 to 255 as they are (`--rescale none`): the first layer learns their mean
    and variance. `"as_seed"` is the placement `"input"`, `"none"` the same network on raw pixels.

    The seed prints Flatten → BN → Conv2D, and Flatten → Conv2D → BN. Neither can be built: Flatten
    leaves a matrix (samples, features), and a 2-D convolution needs height, width and channels. The
    working form has normalization on the images and Flatten behind the convolutions. The
    seed does not compile it: here Adam trains on integer labels.

    Args:
        placement: `"as_seed"`, or where normalization goes instead.
        input_shape: (height, width, channels), at least 6 x 6.
        classes: Number of classes.
        kind: Kind of normalization; `"layer"` and `"rms"` work over the channels of one pixel, so
            they cannot stand in front of grey images.

    Returns:
        The compiled model.

    Example:
        >>> [layer.name for layer in build().layers][:3]
        ['images_batch_normalization', 'conv1', 'conv2']
        >>> build().count_params()
        110990
    """
    check_image(input_shape, smallest=6)
    check_classes(classes)
    with channels_last():
        model = keras.Sequential(
            [
                keras.Input(tuple(input_shape), name="images"),
                layers.Conv2D(32, 3, activation="relu", name="conv1"),
                layers.Conv2D(64, 3, activation="relu", name="conv2"),
                layers.MaxPooling2D(2, name="pool1"),
                layers.Flatten(name="flatten"),
                layers.Dense(classes, activation="softmax", name="dense1"),
            ],
            name="bn_first",
        )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return finish(seeded(model, "input", seed_kind(placement, kind)), placement, kind)
