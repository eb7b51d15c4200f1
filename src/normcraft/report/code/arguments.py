"""The arguments of a constructor: which are needed, how they are ordered, whether they suffice."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from keyword import iskeyword
from typing import Any

from normcraft.report.code.classes import InexpressibleError, Reference
from normcraft.report.code.layout import Piece, prefixed
from normcraft.report.escape import visible

__all__ = ["build", "differing", "initial", "keyword", "ordered"]

_LAST = ("trainable", "dtype", "name")


def initial(cls: Callable[..., Any], wanted: Mapping[str, Any]) -> list[str]:
    """The arguments to start from: those without a default, and the name of a layer.

    Returns:
        Names, in the constructor's order.
    """
    import keras

    names = _required(cls)
    if isinstance(cls, type) and issubclass(cls, keras.Layer):
        names.append("name")
    return [name for name in names if name in wanted]


def build(found: Reference, arguments: Mapping[str, Any]) -> Any:
    """The object that these arguments give.

    Returns:
        An instance of the class.

    Raises:
        InexpressibleError: The constructor refuses them.
    """
    try:
        return found.value(**arguments)
    except Exception as error:
        said = visible(f"{type(error).__name__}: {error}"[:200])
        raise InexpressibleError(
            f"{visible(found.code)} refuses its description ({said})"
        ) from error


def differing(built: Any, wanted: Mapping[str, Any]) -> list[str]:
    """The names under which an object describes itself differently than wanted.

    What building adds to a description does not count, nor that it turns an axis into `[axis]`.

    Returns:
        Names, in the order of the wanted description.
    """
    import keras

    actual = keras.saving.serialize_keras_object(built)["config"]
    return [name for name in wanted if _text(actual.get(name)) != _text(wanted[name])]


def ordered(cls: Callable[..., Any], arguments: Mapping[str, Piece]) -> tuple[Piece, ...]:
    """The arguments as they are written in a call.

    Returns:
        Those without a default first and bare, then keywords, the name last.
    """
    required = [name for name in _required(cls) if name in arguments]
    rest = [name for name in arguments if name not in required]
    rest.sort(key=lambda name: _LAST.index(name) if name in _LAST else -1)
    bare = tuple(arguments[name] for name in required)
    return bare + tuple(keyword(name, arguments[name]) for name in rest)


def keyword(name: str, code: Piece) -> Piece:
    """A keyword argument as it is written in a call.

    Returns:
        `name=code`.

    Raises:
        InexpressibleError: The name is none: it could be any text from a file.
    """
    if not name.isidentifier() or iskeyword(name):
        raise InexpressibleError(f"{visible(name)!r} is no name of an argument")
    return prefixed(f"{name}=", code)


def _required(cls: Callable[..., Any]) -> list[str]:
    # Of a class without a constructor of its own Python 3.11.2 gives that of `__new__`.
    is_class = isinstance(cls, type)
    constructor = getattr(cls, "__init__") if is_class else cls  # noqa: B009 - mypy
    parameters = list(inspect.signature(constructor).parameters.values())[is_class:]
    return [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
    ]


def _text(value: object) -> str:
    return json.dumps(_unbuilt(value), sort_keys=True, default=str)


def _unbuilt(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _unbuilt(each) for key, each in value.items() if key != "build_config"}
    if isinstance(value, (list, tuple)):
        return _unbuilt(value[0]) if len(value) == 1 else [_unbuilt(each) for each in value]
    return value
