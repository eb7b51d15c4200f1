"""A Sequential model as a block of code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from normcraft.report.code.expressions import Expressions, is_model
from normcraft.report.code.inputs import input_call
from normcraft.report.code.layout import Group, Piece, lay_out, literal

__all__ = ["sequential_lines"]


def sequential_lines(
    description: Mapping[str, Any],
    variable: str,
    write: Expressions,
    write_model: Callable[[Mapping[str, Any]], str],
) -> list[str]:
    """The block.

    Args:
        description: The model as Keras serializes it.
        variable: What the model is called.
        write: Writes expressions.
        write_model: Writes a nested model's code in front; gives its variable.

    Returns:
        Lines of code, the last of which assigns the model.
    """
    config = description["config"]

    def piece(layer: Mapping[str, Any]) -> Piece:
        if is_model(layer):
            return write_model(layer)
        if layer["class_name"] == "InputLayer":
            return input_call(layer, write)
        return write.object(layer).code

    layers = Group("[", tuple(piece(layer) for layer in config["layers"]), "]", spread=True)
    name = f"name={literal(str(config['name']))}"
    return [lay_out(Group(f"{variable} = keras.Sequential(", (layers, name), ")"))]
