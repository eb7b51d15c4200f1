"""What survives an edit: weights, trainable flags, dtype policies and compile settings."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import Any

import keras

from normcraft._core.errors import SurgeryError
from normcraft._core.keras_private import (
    compile_arguments,
    decay_exclusions,
    exclude_from_decay,
    sublayers,
)
from normcraft.surgery.copies import copy_object

__all__ = ["copy_compile_settings", "copy_flags", "copy_weights"]


def copy_weights(
    original: keras.layers.Layer, new: keras.layers.Layer
) -> list[tuple[keras.Variable, keras.Variable]]:
    """Copies all variables that both layers have, states of random generators included.

    Args:
        original: A built layer.
        new: Its copy, perhaps with or without bias.

    Returns:
        `(old, new)` of every variable that was copied.
    """
    held, own = original.variables, new.variables
    if len(held) == len(own):
        pairs = list(zip(held, own, strict=True))
    else:
        by_name = {variable.name: variable for variable in held}
        pairs = [(by_name[v.name], v) for v in own if v.name in by_name]
    for old, variable in pairs:
        variable.assign(keras.ops.convert_to_numpy(old))
    for part, twin in _inner_pairs(original, new):
        _copy_adapted(part, twin)
    return pairs


def _inner_pairs(original: Any, new: Any) -> list[tuple[Any, Any]]:
    parts, twins = sublayers(original), sublayers(new)
    if len(parts) != len(twins):  # its activation was a layer and now stands behind it
        return [(original, new)]
    return list(zip(parts, twins, strict=True))


def _copy_adapted(original: keras.layers.Layer, new: keras.layers.Layer) -> None:
    """Copies what preprocessing layers have learned from data and keep outside their variables."""
    if hasattr(original, "save_assets"):
        with TemporaryDirectory() as folder:
            original.save_assets(folder)
            new.load_assets(folder)
    elif hasattr(new, "finalize_state"):
        new.finalize_state()


def copy_flags(original: Any, new: Any, *, deep: bool = True) -> None:
    """Gives a copy the trainable flag of the original, and a model its dtype policy.

    Args:
        original: A layer or model.
        new: Its copy.
        deep: Whether the layers inside are copied one by one and get their flags here as well.
    """
    if isinstance(original, keras.Model):
        new.dtype_policy = original.dtype_policy
    for part, twin in _inner_pairs(original, new) if deep else [(original, new)]:
        if twin.autocast != part.autocast:
            twin.autocast = part.autocast
        if twin.trainable != part.trainable:
            twin.trainable = part.trainable


def copy_compile_settings(model: keras.Model, copy: keras.Model) -> None:
    """Compiles the copy as the model is compiled, with an optimizer and metrics of its own.

    Does nothing where the model is not compiled.

    Args:
        model: The original.
        copy: The copy.

    Raises:
        SurgeryError: If the model's class has a `compile` that does not take Keras's arguments.
    """
    settings = compile_arguments(model)
    if not settings:
        return
    # The optimizer of the model itself: by now it has its loss scaling, if any.
    settings |= {"optimizer": model.optimizer, "auto_scale_loss": False}
    try:
        copy.compile(**{name: _fresh(value) for name, value in settings.items()})
    except TypeError as error:
        raise SurgeryError(
            f"model {model.name!r} ({type(model).__name__}) cannot be compiled again",
            received=str(error),
            expected="a method compile() that takes Keras's arguments",
            hint="pass an uncompiled model and compile the result",
        ) from error
    if copy.optimizer is not None:
        exclude_from_decay(copy, decay_exclusions(model))
        copy.optimizer.build(copy.trainable_variables)


def _fresh(value: Any) -> Any:
    if isinstance(value, keras.optimizers.Optimizer | keras.metrics.Metric):
        return copy_object(value, f"{value.name!r}")
    if isinstance(value, dict):
        return {key: _fresh(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_fresh(item) for item in value)
    return value
