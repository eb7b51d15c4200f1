"""Digests of models, from which the hash of a trial is made."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable
from types import CodeType
from typing import Any

import keras
import numpy as np

from normcraft._core.keras_private import compile_arguments, sublayers
from normcraft.records import Arm

__all__ = ["code_digest", "model_digest", "weights_digest"]


def model_digest(arm: Arm) -> str:
    """Digest of an arm's configuration; Keras numbers optimizers and losses, which means nothing.

    Returns:
        SHA-256, 64 hex digits.
    """
    config = json.loads(arm.config)
    settings = config.get("compile_config") or {}
    for part in ("optimizer", "loss"):
        settings[part] = _without_names(settings.get(part))
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def weights_digest(variables: Iterable[keras.Variable]) -> str:
    """Digest of weights; where random layers have come to is left out.

    Returns:
        SHA-256, 64 hex digits.
    """
    digest = hashlib.sha256()
    for variable in variables:
        if variable.name == "seed_generator_state":
            continue
        digest.update(keras.ops.convert_to_numpy(variable).tobytes())
    return digest.hexdigest()


def code_digest(model: keras.Model) -> str | None:
    """Digest of what configurations call by name alone: the classes and functions of one's own.

    Args:
        model: A model, compiled or not.

    Returns:
        SHA-256 of their source and of the plain values that they hold, 64 hex digits; None where
        all that the model is made of is Keras's.
    """
    settings = keras.tree.flatten(compile_arguments(model))
    parts = [*sublayers(model), *settings]
    functions = [held for part in sublayers(model) for held in vars(part).values()]
    found = [*map(_of_instance, parts), *map(_of_function, [*settings, *functions])]
    text = sorted({one for one in found if one is not None})
    return hashlib.sha256(json.dumps(text).encode()).hexdigest() if text else None


def _is_own(thing: Any) -> bool:
    return str(thing.__module__).split(".")[0] not in {"keras", "builtins", "normcraft"}


def _of_instance(part: Any) -> str | None:
    if inspect.isroutine(part) or isinstance(part, type) or not _is_own(type(part)):
        return None
    # A layer's configuration says its settings; a loss or metric may have none of its own.
    is_layer = isinstance(part, keras.layers.Layer)
    held = {} if is_layer else getattr(part, "__dict__", {})
    values = (
        f"{name}={_plain(held[name])}" for name in sorted(held) if name[0] != "_" and name != "name"
    )
    return " ".join([_source(type(part)), *values])


def _of_function(value: Any) -> str | None:
    if not inspect.isfunction(value) or not _is_own(value):
        return None
    held = [value.__defaults__, *inspect.getclosurevars(value).nonlocals.values()]
    return " ".join([_source(value), *(_plain(one) for one in held if one is not value)])


def _plain(value: Any) -> str:
    # The same in every process; of what has no value that can be told, the class alone.
    if isinstance(value, str | int | float | bool | None):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return hashlib.sha256(value.tobytes()).hexdigest()
    return (inspect.isfunction(value) and _of_function(value)) or type(value).__name__


def _source(thing: Any) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):  # typed in at a prompt
        functions = [thing] if inspect.isfunction(thing) else vars(thing).values()
        return " ".join(_bytecode(f.__code__) for f in functions if inspect.isfunction(f))


def _bytecode(code: CodeType) -> str:
    constants = (_bytecode(c) if isinstance(c, CodeType) else _plain(c) for c in code.co_consts)
    return " ".join([code.co_code.hex(), *code.co_names, *constants])


def _without_names(config: Any) -> Any:
    if isinstance(config, list):
        return [_without_names(part) for part in config]
    if not isinstance(config, dict):
        return config
    return {key: _without_names(value) for key, value in config.items() if key != "name"}
