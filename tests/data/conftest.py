import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

os.environ.setdefault("KERAS_BACKEND", "jax")
# No deadlines: the machine is shared, and no test is about time.
settings.register_profile("normcraft", deadline=None)
settings.load_profile("normcraft")


def real_file(name: str) -> Path:
    shared = Path(__file__).parents[3] / "shared" / "data"
    path = Path(os.environ.get("NORMCRAFT_DATA", shared)) / name
    if not path.is_file():
        pytest.skip(f"{name} is neither in ../shared/data nor where NORMCRAFT_DATA points")
    return path


@pytest.fixture
def mnist_file() -> Path:
    return real_file("mnist.npz")


@pytest.fixture
def fer2013_file() -> Path:
    return real_file("fer2013_12k.npz")


@pytest.fixture
def save(tmp_path):
    """Writes an `.npz` of two samples, with arrays replaced or added, and gives its path."""

    def write(**arrays):
        path = tmp_path / "some data.npz"
        whole = {"x_train": np.eye(2, dtype="float32"), "y_train": np.array([0, 1]), **arrays}
        np.savez(path, **{key: array for key, array in whole.items() if array is not None})
        return path

    return write
