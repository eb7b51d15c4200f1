"""Which targets are class labels, which class each sample has, and labels in words."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from reprlib import repr as short
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Classes", "as_text", "class_ids", "first_class_ids", "listing", "mapping_text"]

SHOWN = 10


class Classes(NamedTuple):
    """The class of every sample.

    Attributes:
        ids: Integer label of every sample, shape (samples,).
        width: Width of the one-hot encoding; 0 where the labels were integers.
    """

    ids: npt.NDArray[np.int64]
    width: int


def class_ids(y: npt.NDArray[Any]) -> Classes | None:
    """The class of every sample, where the targets are classes.

    That is so for 1. integers or booleans of shape (samples,) or (samples, 1), 2. floats of such a
    shape that are all 0 or 1 (binary labels as Keras users write them), 3. one-hot rows.

    Args:
        y: Targets of one output.

    Returns:
        Classes, or None for regression and multi-label targets.

    Example:
        >>> class_ids(np.array([[0.0, 1.0], [1.0, 0.0]]))
        Classes(ids=array([1, 0]), width=2)
        >>> class_ids(np.array([0.5, 1.5])) is None
        True
    """
    if y.ndim == 1 or y.shape[1:] == (1,):
        flat = y.reshape(-1)
        is_label = flat.dtype.kind in "biu" or bool(np.isin(flat, (0, 1)).all())
        return Classes(flat.astype(np.int64), 0) if is_label else None
    if y.ndim == 2 and np.isin(y, (0, 1)).all() and (np.count_nonzero(y, axis=1) == 1).all():
        return Classes(y.argmax(axis=1).astype(np.int64), y.shape[1])
    return None


def first_class_ids(outputs: Iterable[npt.NDArray[Any]]) -> Classes | None:
    """The classes of the first output that has any.

    Args:
        outputs: Targets of every output.

    Returns:
        Classes, or None where no output has class labels.
    """
    return next((found for y in outputs if (found := class_ids(y)) is not None), None)


def as_text(name: str) -> str:
    r"""The name of a file as text that can be written anywhere.

    Args:
        name: As Python gives it; bytes that are no UTF-8 are lone surrogates.

    Returns:
        The name with such bytes written out.

    Example:
        >>> as_text("caf\udce9")
        'caf\\xe9'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def listing(values: Sequence[Any]) -> str:
    """Values in words, past ten of them how many more there are.

    Args:
        values: Labels or names, of any origin.

    Returns:
        One line; what is long is cut, what cannot be printed is escaped.

    Example:
        >>> listing(["cat", 3])
        "'cat', 3"
    """
    return ", ".join(short(value) for value in values[:SHOWN]) + _more(values)


def mapping_text(values: Sequence[Any]) -> str:
    """What labels become when they are numbered from 0.

    Args:
        values: The distinct labels in sorted order.

    Returns:
        One line, as `listing` gives.

    Example:
        >>> mapping_text([1, 3, 5])
        '1 = 0, 3 = 1, 5 = 2'
    """
    pairs = [f"{short(value)} = {index}" for index, value in enumerate(values[:SHOWN])]
    return ", ".join(pairs) + _more(values)


def _more(values: Sequence[Any]) -> str:
    return f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
