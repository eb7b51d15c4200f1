"""A network for emotions on 48 x 48 faces, with normalization at three places (seed 003)."""

from __future__ import annotations

import keras
from keras import layers

from normcraft.placements import Placement
from normcraft.recipes._build import AS_SEED, channels_last, finish, normalization, seed_kind
from normcraft.recipes._sizes import check_classes, check_image

__all__ = ["build"]


def build(
    placement: str | Placement = AS_SEED,
    *,
    input_shape: tuple[int, int, int] = (48, 48, 1),
    classes: int = 7,
    kind: str = "batch",
) -> keras.Model:
    """Four 3 x 3 convolutions with fused ReLU, normalization at three places, Dense 1024, softmax.

    Conv 32 → Conv 64 → BN → pool → Dropout .25 → Conv 128 → pool → BN → Conv 128 → pool →
    Dropout .25 → Flatten → BN → Dense 1024 → Dropout .5 → Dense softmax. The faces are FER2013's.
    The seed does not compile it: here Adam trains on integer labels.

    Args:
        placement: `"as_seed"`, or where normalization goes instead.
        input_shape: (height, width, channels), at least 24 x 24.
        classes: Number of classes.
        kind: Kind of normalization; `"instance"` cannot stand behind Flatten, as the seed has it.

    Returns:
        The compiled model.

    Example:
        >>> build().count_params(), build("none").count_params()
        (2354567, 2345607)
    """
    height, width, _ = check_image(input_shape, smallest=24)
    check_classes(classes)
    own = seed_kind(placement, kind)
    with channels_last():
        stack = [
            keras.Input(tuple(input_shape), name="images"),
            layers.Conv2D(32, 3, activation="relu", name="conv1"),
            layers.Conv2D(64, 3, activation="relu", name="conv2"),
            normalization(own, "norm1", (None, None, None, 64)),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Dropout(0.25, name="dropout1"),
            layers.Conv2D(128, 3, activation="relu", name="conv3"),
            layers.MaxPooling2D(2, name="pool2"),
            normalization(own, "norm2", (None, None, None, 128)),
            layers.Conv2D(128, 3, activation="relu", name="conv4"),
            layers.MaxPooling2D(2, name="pool3"),
            layers.Dropout(0.25, name="dropout2"),
            layers.Flatten(name="flatten"),
            normalization(own, "norm3", (None, _left(height) * _left(width) * 128)),
            layers.Dense(1024, activation="relu", name="dense1"),
            layers.Dropout(0.5, name="dropout3"),
            layers.Dense(classes, activation="softmax", name="dense2"),
        ]
        model = keras.Sequential(stack, name="emotion_cnn")
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return finish(model, placement, kind)


def _left(size: int) -> int:
    # What is left of a height or width behind the last pooling.
    return (((size - 4) // 2 - 2) // 2 - 2) // 2
