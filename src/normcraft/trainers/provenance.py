"""With what and on what a trial ran."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import keras

__all__ = ["backend_version", "machine", "versions"]


def backend_version() -> str:
    """Backend and its version.

    Returns:
        For example `"jax 0.10.2"`.
    """
    name = keras.backend.backend()
    for package in (name, f"{name}-cpu", f"{name}_cpu"):
        try:
            return f"{name} {version(package)}"
        except PackageNotFoundError:
            continue
    return str(name)


@cache
def versions() -> dict[str, str]:
    """Versions of what shapes the numbers.

    Returns:
        Python, Keras, the backend, NumPy and normcraft.
    """
    name, _, number = backend_version().partition(" ")
    return {
        "python": platform.python_version(),
        "keras": keras.__version__,
        name: number,
        "numpy": version("numpy"),
        "normcraft": sys.modules["normcraft"].__version__,  # on a cluster there is its source alone
    }


@cache
def machine() -> dict[str, str]:
    """The machine, in words.

    Returns:
        System, processor and number of cores.
    """
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
    }
