"""A multi-layer perceptron with batch normalization before every activation, the last one too.

Source: the first answer to "Where do I call the BatchNormalization function in Keras?" (seed 000).
"""

from __future__ import annotations

import keras
from keras import layers

from normcraft.placements import Placement
from normcraft.recipes._build import AS_SEED, finish, normalization, seed_kind
from normcraft.recipes._sizes import check_classes, check_rate, check_size

__all__ = ["build"]


def build(
    placement: str | Placement = AS_SEED,
    *,
    inputs: int = 14,
    classes: int = 2,
    units: int = 64,
    dropout: float = 0.5,
    kind: str = "batch",
) -> keras.Model:
    """[Dense → BN → tanh → Dropout] twice → Dense → BN → softmax, on one-hot labels.

    Weights begin uniform in ±0.05, biases stay in front of the normalization. SGD at 0.1 with
    Nesterov momentum 0.9; the seed's `decay=1e-6`, which Keras 3 accepts and ignores, is
    `InverseTimeDecay`. Two classes are trained with binary cross-entropy on two one-hot outputs as
    in the seed (behind a softmax that equals categorical cross-entropy), more with categorical
    cross-entropy.

    The seed trains 20 epochs at batch size 16 with `validation_split=0.2`. Labels are one-hot, of
    shape (samples, classes): `keras.utils.to_categorical(y, classes)` makes them.

    Args:
        placement: `"as_seed"`, or where normalization goes instead.
        inputs: Width of the table.
        classes: Number of classes.
        units: Width of both hidden layers.
        dropout: Dropout rate behind both hidden layers.
        kind: Kind of normalization.

    Returns:
        The compiled model.

    Example:
        >>> build().count_params()
        5770
        >>> [layer.name for layer in build().layers][:4]
        ['dense1', 'norm1', 'activation1', 'dropout1']
    """
    check_size("inputs", inputs)
    check_classes(classes)
    check_size("units", units)
    check_rate("dropout", dropout, below=1)
    own = seed_kind(placement, kind)
    uniform = keras.initializers.RandomUniform(-0.05, 0.05)
    stack = [keras.Input((inputs,), name="features")]
    for number, width in (("1", units), ("2", units), ("3", classes)):
        stack += [
            layers.Dense(width, kernel_initializer=uniform.clone(), name=f"dense{number}"),
            normalization(own, f"norm{number}", (None, width)),
        ]
        if number != "3":
            stack += [
                layers.Activation("tanh", name=f"activation{number}"),
                layers.Dropout(dropout, name=f"dropout{number}"),
            ]
    stack.append(layers.Activation("softmax", name="probabilities"))
    model = keras.Sequential(stack, name="mlp")
    model.compile(
        optimizer=keras.optimizers.SGD(
            keras.optimizers.schedules.InverseTimeDecay(0.1, 1, 1e-6), momentum=0.9, nesterov=True
        ),
        loss="binary_crossentropy" if classes == 2 else "categorical_crossentropy",
        metrics=["accuracy"],
    )
    return finish(model, placement, kind)
