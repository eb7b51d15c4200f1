"""Labels as they are given, and as a model takes them: text and gaps become 0 to n-1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from normcraft._core.errors import InputError, unknown_name
from normcraft.data._checks import check_array, is_text
from normcraft.data._dataset import Array, Arrays
from normcraft.data._labels import listing, mapping_text

__all__ = ["CODINGS", "Coded", "code_labels"]

CODINGS = ("auto", "map", "numbers")


class Coded(NamedTuple):
    """Targets after coding.

    Attributes:
        targets: The targets by what the user calls them, as given.
        class_names: What every class was called before; None where nothing was mapped.
        notes: What was done.
    """

    targets: dict[str, Arrays]
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def code_labels(targets: Mapping[str, Arrays], labels: str) -> Coded:
    """Targets in the coding asked for.

    Args:
        targets: Training targets first, then those of other parts, by name.
        labels: `"auto"` leaves them alone; `"map"` numbers the distinct values of the training
            targets from 0 in sorted order, whatever they are; `"numbers"` makes float32 of them, to
            be predicted as numbers.

    Returns:
        New targets, with names of the classes where they were mapped.

    Raises:
        InputError: The coding is unknown, the targets are no single column, or another part has
            labels that the training part lacks.

    Example:
        >>> coded = code_labels({"y": np.array([5, 0, 5])}, "map")
        >>> coded.targets["y"].tolist(), coded.class_names
        ([1, 0, 1], ('0', '5'))
    """  # noqa: DOC501, DOC502 - ruff does not see through unknown_name
    if labels not in CODINGS:
        raise unknown_name("labels", labels, CODINGS)
    if labels == "auto":
        return Coded(dict(targets))
    if labels == "numbers":
        return Coded({name: _numbers(name, y) for name, y in targets.items()})
    columns = {name: _column(name, y) for name, y in targets.items()}
    (training_name, training), *others = columns.items()
    values = np.unique(training)
    for name, column in others:
        _check_known(name, column, training_name, values)
    return Coded(
        {name: np.searchsorted(values, column) for name, column in columns.items()},
        tuple(str(value) for value in values.tolist()),
        (f"labels were mapped: {mapping_text(values.tolist())}",),
    )


def _column(name: str, y: Arrays) -> Array:
    if not isinstance(y, np.ndarray) or (y.ndim != 1 and y.shape[1:] != (1,)):
        raise InputError(
            f"{name} is no column of labels, so nothing can be mapped",
            received=f"shape {y.shape}" if isinstance(y, np.ndarray) else "several outputs",
            expected="one label a sample",
        )
    if is_text(y):
        return y.reshape(-1).astype(np.str_)
    check_array(name, y)
    return y.reshape(-1)


def _numbers(name: str, y: Arrays) -> Array:
    if not isinstance(y, np.ndarray):
        raise InputError(
            f"{name} has several outputs", expected="one array of targets to take as numbers"
        )
    check_array(name, y)
    return y.astype(np.float32)


def _check_known(name: str, column: Array, training_name: str, values: Array) -> None:
    if (column.dtype.kind == "U") != (values.dtype.kind == "U"):
        raise InputError(
            f"{name} and {training_name} differ in type",
            received=f"{column.dtype} beside {values.dtype}",
            expected="text in both, or numbers in both",
        )
    unknown = np.setdiff1d(column, values).tolist()
    if unknown:
        raise InputError(
            f"{name} has labels that {training_name} lacks",
            received=listing(unknown),
            expected=f"those in {training_name}: {mapping_text(values.tolist())}",
        )
