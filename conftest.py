"""What tests and doctests run with: a backend, compiled programs kept, a folder of their own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Most of a small trial is compilation, and many tests compile the same programs.
cache = Path(tempfile.gettempdir()) / "normcraft-tests-compiled"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")

# Written for one backend each, the others need not be installed.
collect_ignore = [
    f"src/normcraft/layers/kernels/{backend}.py"
    for backend in ("jax", "tensorflow", "torch")
    if backend != os.environ["KERAS_BACKEND"]
]


@pytest.fixture(autouse=True)
def _doctest_surroundings(request, doctest_namespace, tmp_path, monkeypatch) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.chdir(tmp_path)
        if "train_and_test" in request.node.name:
            doctest_namespace["small_mnist"] = _small_mnist()


def _small_mnist():
    """Handwritten digits in MNIST's shape: 7 by 7 of their pixels blown up to 28 by 28."""
    import numpy as np

    from normcraft.data import Dataset, load_dataset

    digits = load_dataset("digits")
    x = np.kron(digits.x_train[:, :7, :7, 0], np.ones((1, 4, 4), "float32"))[..., None]
    y = digits.y_train
    return Dataset("small_mnist", x[:1000], y[:1000], x[1000:], y[1000:])
