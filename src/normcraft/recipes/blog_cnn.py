"""The plain convolutional network that a blog post compares with its normalized twin (seed 001)."""

from __future__ import annotations

import keras
from keras import layers

from normcraft.placements import Placement
from normcraft.recipes._build import AS_SEED, channels_last, finish
from normcraft.recipes._sizes import check_activation, check_classes, check_image, check_rate

__all__ = ["build"]


def build(
    placement: str | Placement = AS_SEED,
    *,
    activation: str = "relu",
    learning_rate: float = 0.001,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    kind: str = "batch",
) -> keras.Model:
    """Conv 32 → pool → Conv 64 → pool → Conv 64 → Dense 64 → Dense softmax, for MNIST in [0, 1].

    Convolutions are 3 x 3 without padding; Adam, integer labels. The seed's network is plain; its
    normalized twin, with normalization on the logits too, is `"before_activation+output"`. The seed
    trains 3 epochs of 1,875 batches of 32.

    Args:
        placement: `"as_seed"` (no normalization), or where normalization goes.
        activation: Activation of the hidden layers; the seed tries `"relu"` and `"sigmoid"`.
        learning_rate: Of Adam; the seed tries .001, .01 and .05.
        input_shape: (height, width, channels), at least 18 x 18.
        classes: Number of classes.
        kind: Kind of normalization.

    Returns:
        The compiled model.

    Example:
        >>> build().count_params(), build("before_activation+output").count_params()
        (93322, 94024)
    """
    check_image(input_shape, smallest=18)
    check_classes(classes)
    check_activation(activation)
    check_rate("learning_rate", learning_rate)
    with channels_last():
        model = keras.Sequential(
            [
                keras.Input(tuple(input_shape), name="images"),
                layers.Conv2D(32, 3, activation=activation, name="conv1"),
                layers.MaxPooling2D(2, name="pool1"),
                layers.Conv2D(64, 3, activation=activation, name="conv2"),
                layers.MaxPooling2D(2, name="pool2"),
                layers.Conv2D(64, 3, activation=activation, name="conv3"),
                layers.Flatten(name="flatten"),
                layers.Dense(64, activation=activation, name="dense1"),
                layers.Dense(classes, activation="softmax", name="dense2"),
            ],
            name="blog_cnn",
        )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return finish(model, placement, kind)
