"""The Python call that runs a comparison again, as text for the report."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import PurePath
from typing import Any

import numpy as np

from normcraft.studies import Budget, Grid, Options

__all__ = ["call_text"]


def call_text(function: Callable[..., Any], arguments: Mapping[str, Any]) -> str:
    """A call of one of normcraft's functions as Python, ready to paste.

    What equals its default is left out. What no literal can say (a model, an array) stands there
    under its parameter's name, with a comment.

    Args:
        function: The function that was called; `normcraft` exports it.
        arguments: Its arguments by name, as `locals()` gives them at its first line.

    Returns:
        Python source of two or three lines.

    Example:
        >>> def compare(model="digits_cnn", x="digits", y=None, *, seeds=None): ...
        >>> print(call_text(compare, {"model": object(), "x": "digits", "y": None, "seeds": 4}))
        import normcraft as nc
        # model: the same object as in this run.
        r = nc.compare(model, seeds=4)
    """
    parts, named = [], []
    positional = True
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "verbose" or _same(arguments[name], parameter.default):
            positional = False
            continue
        text = _literal(arguments[name])
        if text is None:
            named.append(text := name)
        positional = positional and parameter.kind is not parameter.KEYWORD_ONLY
        parts.append(text if positional else f"{name}={text}")
    lines = ["import normcraft as nc", f"r = nc.{function.__name__}({', '.join(parts)})"]
    if named:
        what = "the same object" if len(named) == 1 else "the same objects"
        lines.insert(1, f"# {', '.join(named)}: {what} as in this run.")
    return "\n".join(lines)


def _same(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, str | int | float) and value == default)


def _literal(value: Any) -> str | None:
    """Source of a value; None where there is none that says it."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float | range):
        return repr(value)
    if isinstance(value, PurePath):
        return repr(str(value))
    if isinstance(value, list | tuple):
        return _sequence(value)
    if isinstance(value, dict):
        return _mapping(value)
    return _settings(value) if isinstance(value, Grid | Budget | Options) else None


def _sequence(value: list[Any] | tuple[Any, ...]) -> str | None:
    items = [_literal(each) for each in value]
    known = [item for item in items if item is not None]
    if len(known) < len(items):
        return None
    text = ", ".join(known)
    if isinstance(value, list):
        return f"[{text}]"
    return f"({text},)" if len(known) == 1 else f"({text})"


def _mapping(value: dict[Any, Any]) -> str | None:
    items = [(_literal(key), _literal(each)) for key, each in value.items()]
    if any(None in item for item in items):
        return None
    return "{" + ", ".join(f"{key}: {text}" for key, text in items) + "}"


def _settings(value: Any) -> str:
    changed = {
        field.name: getattr(value, field.name)
        for field in fields(value)
        if getattr(value, field.name) != field.default
    }
    words = ", ".join(f"{name}={_literal(held)}" for name, held in changed.items())
    return f"nc.{type(value).__name__}({words})"
