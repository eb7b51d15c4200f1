"""What survives an edit: weights, trainable flags and compile settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from normcraft._core.keras_private import compile_arguments

__all__ = ["copy_compile_settings", "copy_flags", "copy_weights"]


def copy_weights(original: keras.layers.Layer, new: keras.layers.Layer) -> None:
    """Copies all variables that both layers have, states of random generators included.

    Args:
        original: A built layer.
        new: Its copy, perhaps with or without bias.
    """
    if len(original.variables) == len(new.variables):
        pairs = list(zip(original.variables, new.variables, strict=True))
    else:
        by_name = {variable.name: variable for variable in original.variables}
        pairs = [(by_name[v.name], v) for v in new.variables if v.name in by_name]
    for old, variable in pairs:
        variable.assign(keras.ops.convert_to_numpy(old))


def copy_flags(pairs: Iterable[tuple[Any, Any]], model: keras.Model, copy: keras.Model) -> None:
    """Gives the copy the trainable flags of the original, outermost first.

    Args:
        pairs: `(original, copy)` of all layers, nested models before their layers.
        model: The original.
        copy: The copy.
    """
    for original, new in [(model, copy), *pairs]:
        if new.trainable != original.trainable:
            new.trainable = original.trainable


def copy_compile_settings(model: keras.Model, copy: keras.Model) -> None:
    """Compiles the copy as the model is compiled, with an optimizer and metrics of its own.

    Does nothing where the model is not compiled.

    Args:
        model: The original.
        copy: The copy.
    """
    settings = compile_arguments(model)
    if not settings:
        return
    copy.compile(**{name: _fresh(value) for name, value in settings.items()})
    if copy.optimizer is not None:
        copy.optimizer.build(copy.trainable_variables)


def _fresh(value: Any) -> Any:
    if isinstance(value, keras.optimizers.Optimizer | keras.metrics.Metric):
        return type(value).from_config(value.get_config())
    if isinstance(value, dict):
        return {key: _fresh(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_fresh(item) for item in value)
    return value
