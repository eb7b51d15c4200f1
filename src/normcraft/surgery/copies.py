"""Objects of Keras made anew from their own configuration: layers, optimizers, metrics."""

from __future__ import annotations

import contextlib
import inspect
import re
import textwrap
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from normcraft._core.errors import NormcraftError, SurgeryError, too_deep
from normcraft._core.keras_private import sublayers, trusted_code

__all__ = ["copy_layer", "copy_object", "copying", "edited_config"]


def copy_layer(layer: keras.layers.Layer, config: dict[str, Any] | None = None) -> Any:
    """A new layer of the same class and settings, weights not copied.

    Args:
        layer: The layer.
        config: Changed configuration; None for the layer's own.

    Returns:
        The new layer, not yet built.

    Example:
        >>> copy_layer(keras.layers.Dense(2, name="a")).name
        'a'
    """
    return copy_object(layer, f"layer {layer.name!r}", config)


def copy_object(original: Any, name: str, config: dict[str, Any] | None = None) -> Any:
    """A new object of the same class and settings.

    Classes and functions that the original is made of need not be registered with Keras.

    Args:
        original: A layer, optimizer or metric.
        name: What the error calls it.
        config: Changed configuration; None for the original's own.

    Returns:
        The new object.

    Raises:
        SurgeryError: If it cannot be made from its own configuration.
    """
    try:
        with trusted_code(), keras.saving.custom_object_scope(_parts(original)):
            return type(original).from_config(config or edited_config(original))
    except (NotImplementedError, TypeError, ValueError) as error:
        if isinstance(error.__context__, RecursionError):  # Keras says it as a TypeError
            raise error.__context__ from None
        raise SurgeryError(
            f"{name} ({type(original).__name__}) cannot be copied",
            received=_cause(error),
            expected="get_config() and from_config() that give it again",
            hint="define get_config() in its class",
        ) from error


def _cause(error: BaseException) -> str:
    # Keras begins with configurations or arguments, colours its text, and comes to the point late.
    text = re.sub(r"\x1b\[\d*m", "", str(error)).partition("Arguments received by")[0]
    where = re.search(r"when calling (\w+)\.call\(\)", text)
    reason = re.split(r"[Ee]ncountered:|\.call\(\)\.", text)[-1].strip()
    place = f"in {where[1]}: " if where else ""
    return textwrap.shorten(place + (reason or type(error).__name__), 200)


def edited_config(original: Any, **changes: Any) -> dict[str, Any]:
    """The configuration that a copy is made from.

    Args:
        original: A layer, optimizer or metric.
        **changes: Entries that are different in the copy.

    Returns:
        Its `get_config()`, in which activations that are plain functions stand themselves: what
        Keras writes for a lambda it cannot read.
    """
    config: dict[str, Any] = original.get_config()
    held = {key: getattr(original, key, None) for key in config if key.endswith("activation")}
    return config | {k: f for k, f in held.items() if inspect.isfunction(f)} | changes


def _parts(original: Any) -> dict[str, Any]:
    # Functions and classes of one's own that an object holds, by the names Keras writes.
    owners = sublayers(original) if isinstance(original, keras.layers.Layer) else [original]
    held = (part for owner in owners for part in (owner, *vars(owner).values()))
    parts = dict.fromkeys(part if inspect.isfunction(part) else type(part) for part in held)
    own = [p for p in parts if not p.__module__.startswith(("keras.", "builtins"))]
    return {part.__name__: part for part in own}


@contextlib.contextmanager
def copying(model: keras.Model) -> Iterator[None]:
    """What a model is copied within, so that Keras speaks of it once and clearly.

    Its warnings about masks and code are not said again, and its errors become one line.

    Args:
        model: The model.

    Raises:
        SurgeryError: If Keras runs out of stack, or the copies of the layers cannot be called as
            the layers were.
    """  # noqa: DOC501 - ruff does not see through too_deep
    try:
        with warnings.catch_warnings():
            for known in (".*does not support masking", ".*serialized includes a `lambda`"):
                warnings.filterwarnings("ignore", known, UserWarning)
            yield
    except RecursionError as error:
        raise too_deep(model.name) from error
    except NormcraftError:
        raise
    except (ValueError, TypeError, AttributeError) as error:
        if isinstance(error.__context__, RecursionError):
            raise too_deep(model.name) from error
        raise SurgeryError(
            f"model {model.name!r} cannot be built from copies of its layers",
            received=_cause(error),
            expected="layers that their get_config() describes completely",
            hint="let get_config() and from_config() of that class give the layer again as it is",
        ) from error
