"""`keras.Input` from a serialized input layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normcraft.report.code.arguments import keyword
from normcraft.report.code.classes import InexpressibleError
from normcraft.report.code.expressions import Expressions
from normcraft.report.code.layout import Group, Piece
from normcraft.report.escape import visible

__all__ = ["input_call"]

_DEFAULTS = {"dtype": "float32", "sparse": False, "ragged": False, "optional": False}


def input_call(layer: Mapping[str, Any], write: Expressions) -> Piece:
    """The call that makes an input of a model.

    Args:
        layer: An `InputLayer` as Keras serializes it.
        write: Writes the values.

    Returns:
        `keras.Input(...)`, the shape without the batch unless the batch size is fixed.

    Raises:
        InexpressibleError: It is a layer of another class, without inputs of its own.
    """
    if layer["class_name"] != "InputLayer":
        raise InexpressibleError(f"layer {visible(layer['config'].get('name'))!r} has no input")
    config = layer["config"]
    batch, *shape = config["batch_shape"]
    given = {"shape": tuple(shape)} if batch is None else {"batch_shape": (batch, *shape)}
    given |= {key: config[key] for key, default in _DEFAULTS.items() if config[key] != default}
    given["name"] = config["name"]
    pieces = (keyword(key, write.argument(key, value).code) for key, value in given.items())
    return Group("keras.Input(", tuple(pieces), ")")
