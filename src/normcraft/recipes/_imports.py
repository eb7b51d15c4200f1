"""Importing the user's modules: also from the current folder, and so that Keras knows them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from normcraft._core.errors import InputError

__all__ = ["failure", "import_module", "import_modules", "import_path"]

OWN_CLASSES = (
    keras.Operation,
    keras.constraints.Constraint,
    keras.initializers.Initializer,
    keras.losses.Loss,
    keras.metrics.Metric,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.regularizers.Regularizer,
)
KERAS_NAMES = (
    keras,
    keras.activations,
    keras.constraints,
    keras.initializers,
    keras.layers,
    keras.losses,
    keras.metrics,
    keras.optimizers,
    keras.optimizers.schedules,
    keras.regularizers,
)


@contextmanager
def import_path(folder: Path) -> Iterator[None]:
    """Lets modules in a folder be imported, as `python` does for the script it runs.

    Args:
        folder: An existing folder.
    """
    entry = str(folder)
    sys.path.insert(0, entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if entry in sys.path:  # the user's code may have changed the path
            sys.path.remove(entry)


def import_modules(names: Iterable[str]) -> None:
    """Imports modules and registers with Keras the layers, losses and functions that they define.

    What is decorated with `register_keras_serializable` registers itself; the rest is registered
    under its bare name, where Keras has nothing of that name.

    Args:
        names: Full names of modules, in the current folder or installed.
    """
    for name in (names,) if isinstance(names, str) else names:
        with import_path(Path.cwd()):
            module = import_module(name)
        known = keras.saving.get_custom_objects()
        for label, member in vars(module).items():
            if _is_own(member) and not any(hasattr(place, label) for place in KERAS_NAMES):
                known.setdefault(label, member)


def import_module(name: str) -> ModuleType:
    """A module of the user's.

    Args:
        name: Its full name.

    Returns:
        The module.

    Raises:
        InputError: There is no such module, or importing it fails.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise InputError(
            "this is no module's name", received=repr(name), expected="for example package.module"
        )
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        missing = absent is not None and f"{name}.".startswith(f"{absent}.")
        raise InputError(
            f"there is no module {name!r}" if missing else f"module {name!r} cannot be imported",
            received=None if missing else failure(error),
            hint="it must be installed or lie in the current folder" if missing else None,
        ) from error


def failure(error: BaseException, text: str | None = None) -> str:
    """An error of the user's code or of Keras in one short line, its text escaped.

    Args:
        error: The error.
        text: The part of its text that tells; all by default.

    Returns:
        For example `ValueError: 'no such unit'`.
    """
    where = ""
    if isinstance(error, SyntaxError) and error.lineno:
        where = f" in line {error.lineno}"
    if text is None:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return type(error).__name__ + (f": {lines[0][:200]!r}" if lines else "") + where


def _is_own(member: Any) -> bool:
    if str(getattr(member, "__module__", "")).startswith("keras."):
        return False
    if isinstance(member, type):
        return issubclass(member, OWN_CLASSES)
    return callable(member) and hasattr(member, "__code__")
