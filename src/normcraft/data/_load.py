"""Datasets by name or path."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from normcraft._core import registry
from normcraft._core.errors import InputError, MissingFileError, unknown_name
from normcraft.data._csv import read_csv
from normcraft.data._dataset import Dataset
from normcraft.data._image_folder import read_image_folder
from normcraft.data._label_coding import CODINGS
from normcraft.data._labels import as_text
from normcraft.data._npz import read_npz

__all__ = ["load_dataset"]

ACCEPTED = (
    "an .npz file with x_train, y_train and optionally x_test, y_test, class_names; a .csv file "
    "and its target column; or a folder of class folders of images"
)
TABLES = (".csv", ".tsv")


def load_dataset(
    source: str | os.PathLike[str], *, target: str | None = None, labels: str = "auto"
) -> Dataset:
    """The dataset of that name, or at that path; an existing path wins over a name.

    Args:
        source: `digits`, `mnist`, `fashion_mnist`, `cifar10`, `cifar100`, or the path of an `.npz`
            file with `x_train y_train [x_test y_test] [class_names]` (no pickle in it is loaded),
            of a `.csv` file with a header row, or of a folder of class folders of images.
        target: Column of the targets in a table; several with commas between, if they are numbers.
        labels: `"auto"` takes targets as they are, but for text in a table, which becomes classes;
            `"map"` numbers the distinct targets from 0 in sorted order; `"numbers"` predicts them
            as numbers.

    Returns:
        The dataset.

    Raises:
        InputError: The name is unknown, or what is there cannot be read as data.
        MissingFileError: The path does not exist.

    Example:
        >>> digits = load_dataset("digits")
        >>> digits.x_train.shape, digits.num_classes
        ((1797, 8, 8, 1), 10)
    """  # noqa: DOC501 - ruff does not see through unknown_name
    if not isinstance(source, str | os.PathLike):
        raise InputError(
            "a dataset is loaded by name or path",
            received=type(source).__name__,
            expected="a string or path",
            hint="normcraft.data.from_arrays takes arrays",
        )
    if labels not in CODINGS:
        raise unknown_name("labels", labels, CODINGS)
    name, path = os.fspath(source), Path(source)
    is_table = path.suffix.lower() in TABLES
    if target is not None and not is_table:
        raise InputError(
            "a target column belongs to a table",
            received=f"target {target!r} for {name!r}",
            expected="the path of a .csv file",
        )
    if os.path.lexists(path):
        dataset = _read(name, path, target, labels)
        return replace(dataset, name=as_text(dataset.name))
    if path.suffix or len(path.parts) > 1:
        raise MissingFileError("no such data file", received=repr(name), expected=ACCEPTED)
    if labels != "auto":
        raise InputError(
            "the labels of a dataset by name are what they are",
            received=f"labels {labels!r} for {name!r}",
            expected="labels 'auto'",
        )
    by_name: Dataset = registry.load("normcraft.data", name, what="dataset").load()
    return by_name


def _read(name: str, path: Path, target: str | None, labels: str) -> Dataset:
    try:
        if path.is_dir():
            return read_image_folder(path, labels=labels)
        if path.is_file() and path.suffix.lower() in TABLES:
            return read_csv(path, target, labels=labels)
        if path.is_file() and path.suffix.lower() == ".npz":
            return read_npz(path, labels=labels)
        raise InputError(
            f"{name!r} is not a kind of data that can be read",
            received=f"a {path.suffix!r} file" if path.is_file() else "neither a file nor a folder",
            expected=ACCEPTED,
        )
    except InputError as error:
        if name not in registry.members("normcraft.data"):
            raise
        raise InputError(
            error.message,
            received=error.received,
            expected=error.expected,
            hint="it hides the dataset of that name: rename it, or work in another folder",
        ) from error
