"""Datasets by name or path."""

from __future__ import annotations

import os
from pathlib import Path

from normcraft._core import registry
from normcraft._core.errors import InputError, MissingFileError
from normcraft.data._dataset import Dataset
from normcraft.data._npz import read_npz

__all__ = ["load_dataset"]

ACCEPTED = "an .npz file with x_train, y_train and optionally x_test, y_test, class_names"


def load_dataset(source: str | os.PathLike[str], *, target: str | None = None) -> Dataset:
    """The dataset of that name, or in that file; an existing path wins over a name.

    Args:
        source: `digits`, `mnist`, `fashion_mnist`, `cifar10`, `cifar100`, or the path of an `.npz`
            file with `x_train y_train [x_test y_test] [class_names]`. No pickle in it is loaded.
        target: Column of the targets in a table; no kind of file that is read today has any.

    Returns:
        The dataset.

    Raises:
        InputError: The name is unknown, or the file cannot be read as data.
        MissingFileError: The path does not exist.

    Example:
        >>> digits = load_dataset("digits")
        >>> digits.x_train.shape, digits.num_classes
        ((1797, 8, 8, 1), 10)
    """
    if not isinstance(source, str | os.PathLike):
        raise InputError(
            "a dataset is loaded by name or path",
            received=type(source).__name__,
            expected="a string or path",
            hint="normcraft.data.from_arrays takes arrays",
        )
    if target is not None:
        raise InputError(
            "a target column belongs to a table",
            received=f"target {target!r} for {os.fspath(source)!r}",
            expected=ACCEPTED,
        )
    name, path = os.fspath(source), Path(source)
    if os.path.lexists(path):
        return _read(name, path)
    if path.suffix or len(path.parts) > 1:
        raise MissingFileError("no such data file", received=repr(name), expected=ACCEPTED)
    dataset: Dataset = registry.load("normcraft.data", name, what="dataset").load()
    return dataset


def _read(name: str, path: Path) -> Dataset:
    if path.is_file() and path.suffix.lower() == ".npz":
        return read_npz(path)
    raise InputError(
        f"{name!r} is not a kind of data that can be read",
        received=_kind(path),
        expected=ACCEPTED,
        hint="it hides the dataset of that name: rename it, or work in another folder"
        if name in registry.members("normcraft.data")
        else None,
    )


def _kind(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    return f"a {path.suffix!r} file" if path.is_file() else "neither a file nor a folder"
