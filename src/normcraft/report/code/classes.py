"""Which class or function a Keras description means, and how code refers to it.

Only what Keras exports, what is registered and what is already imported is found: a description may
come from a file, and reading it must not import what it names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from normcraft.report.escape import visible

__all__ = ["InexpressibleError", "Reference", "class_of", "function_of"]

# Building these runs or loads foreign code.
_UNSAFE = frozenset({"Lambda", "TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper"})
_FUNCTION_HOMES = ("activations", "losses", "metrics", "initializers", "regularizers", "ops")


class InexpressibleError(Exception):
    """Something in a model that plain calls cannot say; `to_code` then writes the description."""


@dataclass(frozen=True)
class Reference:
    """A class or function and how code names it.

    Attributes:
        code: Expression, for example `"layers.Dense"`.
        value: The class or function itself.
        module: Module to import it from; None for Keras's own and for a notebook's or script's.
    """

    code: str
    value: Callable[..., Any]
    module: str | None = None


def class_of(description: Mapping[str, Any]) -> Reference:
    """The class that a description means.

    Args:
        description: `{"module", "class_name", "registered_name", ...}` as Keras writes it.

    Returns:
        The class and how to refer to it.

    Raises:
        InexpressibleError: No such class is at hand, or building it would run foreign code.
    """
    name, module = str(description["class_name"]), str(description.get("module") or "")
    found = _registered(description.get("registered_name")) or _public(module, name)
    found = found or _imported(module, name)
    if (
        found is None
        or not isinstance(found.value, type)
        or not hasattr(found.value, "from_config")
    ):
        raise InexpressibleError(f"no class {visible(name)!r} is registered or imported")
    if name in _UNSAFE:
        raise InexpressibleError(f"a {name} layer holds code of its own")
    return found


def function_of(name: str) -> Reference:
    """The function that a description names: Keras's own or a registered one.

    Returns:
        The function and how to refer to it.

    Raises:
        InexpressibleError: No such function is registered, nor is one of Keras's own called so.
    """
    found = _registered(name)
    homes = iter(_FUNCTION_HOMES)
    while found is None and (home := next(homes, None)):
        found = _public(f"keras.{home}", name)
    if found is None or isinstance(found.value, type):
        raise InexpressibleError(f"no function {visible(name)!r} is registered")
    return found


def _public(module: str, name: str) -> Reference | None:
    import keras

    path = module.split(".")
    if path[0] != "keras" or "src" in path:
        return None
    home: Any = keras
    for step in path[1:]:
        home = getattr(home, step, None)
    value = getattr(home, name, None)
    prefix = "layers" if module == "keras.layers" else module
    return Reference(f"{prefix}.{name}", value) if callable(value) else None


def _registered(name: str | None) -> Reference | None:
    import keras

    value = keras.saving.get_registered_object(name) if name else None
    return None if value is None else _custom(value)


def _imported(module: str, name: str) -> Reference | None:
    value = getattr(sys.modules.get(module), name, None)
    return _custom(value) if isinstance(value, type) else None


def _custom(value: Any) -> Reference:
    name, module = value.__qualname__, value.__module__
    if not name.isidentifier():
        raise InexpressibleError(f"{visible(name)!r} is defined inside a function")
    if module == "__main__":
        return Reference(name, value)
    package = module.rpartition(".")[0]
    exported = package and getattr(sys.modules.get(package), name, None) is value
    return Reference(name, value, package if exported else module)
