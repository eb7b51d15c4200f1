"""Datasets that Keras fetches, checks against its own checksums, and keeps in its own cache."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from importlib import import_module

from normcraft._core.errors import InputError
from normcraft.data._dataset import Dataset

__all__ = ["load_keras_dataset"]


def load_keras_dataset(name: str, class_names: tuple[str, ...]) -> Dataset:
    """A dataset of `keras.datasets`, from Keras's cache or, the first time, from the network.

    Args:
        name: Name of the module in `keras.datasets`.
        class_names: Name of every class.

    Returns:
        The dataset with Keras's training and test parts, and labels of shape (samples,).

    Raises:
        InputError: It is not in the cache and could not be fetched.
    """
    source = import_module(f"keras.datasets.{name}")
    try:
        with redirect_stdout(sys.stderr):  # stdout is the caller's: Keras prints its progress there
            (x_train, y_train), (x_test, y_test) = source.load_data()
    except Exception as error:  # Keras raises a bare Exception where a download fails
        raise InputError(
            f"the dataset {name!r} is not in Keras's cache and could not be fetched",
            received=f"{type(error).__name__} {str(error)[:200]!r}",
            hint="give the path of an .npz instead",
        ) from error
    return Dataset(
        name, x_train, y_train.reshape(-1), x_test, y_test.reshape(-1), class_names=class_names
    )
