"""The "standard CNN" of a question on where normalization goes, as answered there (seed 002)."""

from __future__ import annotations

import keras
from keras import layers

from normcraft.placements import Placement
from normcraft.recipes._build import AS_SEED, channels_last, finish, seed_kind, seeded
from normcraft.recipes._sizes import check_classes, check_image, check_size, check_sizes

__all__ = ["build"]

ANSWER = "after_activation+output"


def build(
    placement: str | Placement = AS_SEED,
    *,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    filters: tuple[int, int] = (32, 64),
    units: int = 128,
    kind: str = "batch",
) -> keras.Model:
    """Conv → ReLU → BN → pool, twice, then FC → BN → FC → BN; the FC layers have no activation.

    So the answer places it: behind the activations, and behind each FC layer; that is
    `"after_activation+output"`. Its second choice is `"before_activation+output"`. The seed gives
    no sizes and does not train: here convolutions are 3 x 3 without padding, the outputs are
    logits, and Adam trains on integer labels.

    Args:
        placement: `"as_seed"`, or where normalization goes instead.
        input_shape: (height, width, channels), at least 10 x 10.
        classes: Number of classes: the width of the second FC layer.
        filters: Filters of the two convolutions.
        units: Width of the first FC layer.
        kind: Kind of normalization.

    Returns:
        The compiled model.

    Example:
        >>> [layer.name for layer in build("none").layers]
        ['conv1', 'relu1', 'pool1', 'conv2', 'relu2', 'pool2', 'flatten', 'fc1', 'fc2']
        >>> build("none").count_params(), build().count_params()
        (225034, 225832)
    """
    check_image(input_shape, smallest=10)
    check_classes(classes)
    first, second = check_sizes("filters", filters, length=2)
    check_size("units", units)
    with channels_last():
        model = keras.Sequential(
            [
                keras.Input(tuple(input_shape), name="images"),
                layers.Conv2D(first, 3, name="conv1"),
                layers.Activation("relu", name="relu1"),
                layers.MaxPooling2D(2, name="pool1"),
                layers.Conv2D(second, 3, name="conv2"),
                layers.Activation("relu", name="relu2"),
                layers.MaxPooling2D(2, name="pool2"),
                layers.Flatten(name="flatten"),
                layers.Dense(units, name="fc1"),
                layers.Dense(classes, name="fc2"),
            ],
            name="pooled_cnn",
        )
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return finish(seeded(model, ANSWER, seed_kind(placement, kind)), placement, kind)
