"""Which Keras backend is used where the user has not said; decided before Keras is imported."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from normcraft._core.errors import MissingDependencyError

__all__ = ["choose_backend", "require_backend"]

BACKENDS = ("jax", "tensorflow", "torch")


def choose_backend() -> None:
    """Sets `KERAS_BACKEND` where it is not set and Keras is not imported yet.

    The backend in `keras.json` is taken if it can be imported (Keras writes "tensorflow" there by
    itself); else the first installed of JAX, TensorFlow and PyTorch. Nothing is imported here.
    """
    if "keras" in sys.modules or os.environ.get("KERAS_BACKEND"):
        return
    wanted = (_configured(), *BACKENDS)
    found = next((name for name in wanted if name and find_spec(name) is not None), None)
    if found is not None:
        os.environ["KERAS_BACKEND"] = found


def require_backend() -> None:
    """Makes sure that Keras can be imported.

    Raises:
        MissingDependencyError: If the backend asked for, or any backend, is not installed.
    """
    if "keras" in sys.modules:
        return
    choose_backend()
    name = os.environ.get("KERAS_BACKEND")
    if name in {"numpy", "openvino"} or (name and find_spec(name) is not None):
        return
    raise MissingDependencyError(
        "no Keras backend is installed" if not name else f"Keras backend {name!r} is not installed",
        expected="JAX, TensorFlow or PyTorch",
        hint='pip install "normcraft[jax]"',
    )


def _configured() -> str | None:
    home = os.environ.get("KERAS_HOME")
    path = (Path(home) if home else Path.home() / ".keras") / "keras.json"
    try:
        name = json.loads(path.read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        return None
    return name if isinstance(name, str) else None
