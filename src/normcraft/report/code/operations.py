"""Raw operations of a graph (`x + y`, `keras.ops.relu(x)`) as the code that made them.

Keras records the class of an operation, which it does not export; the function that makes it
carries the same name in snake case. Whether it takes the recorded arguments is found by calling it
on symbolic tensors.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from normcraft.report.code.arguments import keyword
from normcraft.report.code.classes import InexpressibleError, Reference
from normcraft.report.code.expressions import Expression, Expressions, snake_case
from normcraft.report.code.layout import Group, Piece, flat
from normcraft.report.escape import visible

__all__ = ["is_operation", "operation"]

_SIGNS = {"Add": "+", "Subtract": "-", "Multiply": "*", "TrueDivide": "/"}


def is_operation(description: Mapping[str, Any]) -> bool:
    """Whether the description is of a raw operation rather than a layer.

    Returns:
        True for the classes behind `keras.ops`.
    """
    return str(description.get("module")).startswith("keras.src.ops.")


def operation(
    description: Mapping[str, Any], arguments: Mapping[str, Any], write: Expressions
) -> tuple[Piece, bool]:
    """The call of a raw operation.

    Args:
        description: The operation as Keras serializes it.
        arguments: `{"args", "kwargs"}` of the call.
        write: Writes the values.

    Returns:
        Code, and whether several tensors come of it.
    """
    name, args, kwargs = str(description["class_name"]), arguments["args"], arguments["kwargs"]
    items = [write.value(item) for item in args]
    if name == "GetItem" and len(args) == 2 and not kwargs:
        return flat(items[0].code) + _subscript(args[1], write), False
    if name in _SIGNS and len(args) == 2 and not kwargs:
        return f"{flat(items[0].code)} {_SIGNS[name]} {flat(items[1].code)}", False
    settings = {key: value for key, value in description["config"].items() if key != "name"}
    if name == "Einsum":
        items.insert(0, write.value(settings.pop("subscripts")))
    keywords = {key: write.argument(key, each) for key, each in (settings | kwargs).items()}
    return _call(_function(name), items, keywords)


def _function(name: str) -> Reference:
    import keras

    snake = snake_case(name)
    for path, home in (("keras.ops", keras.ops), ("keras.ops.image", keras.ops.image)):
        if function := getattr(home, snake, None):
            return Reference(f"{path}.{snake}", function)
    raise InexpressibleError(f"no function of keras.ops makes a {visible(name)}")


def _call(
    found: Reference, items: list[Expression], keywords: Mapping[str, Expression]
) -> tuple[Piece, bool]:
    values = [each.value for each in items]
    settings = {key: each.value for key, each in keywords.items()}
    signature = inspect.signature(found.value)
    try:
        signature.bind(*values, **settings)
        result = found.value(*values, **settings)
    except Exception as error:
        raise InexpressibleError(f"{found.code} does not take what it was given") from error
    written = [key for key, value in settings.items() if not _is_default(signature, key, value)]
    pieces = [each.code for each in items]
    pieces += [keyword(key, keywords[key].code) for key in written]
    return Group(f"{found.code}(", tuple(pieces), ")"), isinstance(result, (list, tuple))


def _is_default(signature: inspect.Signature, key: str, value: object) -> bool:
    parameter = signature.parameters.get(key)
    plain = value is None or isinstance(value, (bool, int, float, str))
    return plain and parameter is not None and parameter.default == value


def _subscript(index: Any, write: Expressions) -> str:
    parts = index if isinstance(index, list) else [index]
    return f"[{', '.join(_index(part, write) for part in parts)}]"


def _index(part: Any, write: Expressions) -> str:
    if not isinstance(part, Mapping) or part.get("class_name") != "__slice__":
        return flat(write.value(part).code)
    bounds = [part["config"][key] for key in ("start", "stop", "step")]
    start, stop, step = ("" if each is None else flat(write.value(each).code) for each in bounds)
    return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"
