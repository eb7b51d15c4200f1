"""The dataset: arrays to train, validate and test on, and what was done to them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from normcraft.data._labels import first_class_ids

if TYPE_CHECKING:
    from normcraft.data._stream import Stream

__all__ = ["Array", "Arrays", "Dataset", "leaves", "map_arrays"]

Array = npt.NDArray[Any]
Arrays = Array | tuple[Array, ...] | dict[str, Array]

PARTS = ("x_train", "y_train", "x_test", "y_test", "x_validation", "y_validation")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Arrays to train and judge a model on; `load_dataset` and `from_arrays` make and check them.

    Every part is one array, or a tuple or dictionary of arrays for a model with several inputs or
    outputs. The first axis counts samples.

    Attributes:
        name: What to call it in a report.
        x_train: Training inputs.
        y_train: Training targets.
        x_test: Test inputs, which only report and never choose; or None.
        y_test: Test targets, or None.
        x_validation: Fixed validation inputs; None lets every seed draw its own split.
        y_validation: Fixed validation targets, or None.
        class_names: Name of every class, by label; or None.
        notes: What was done to the arrays, one line a step.
        stream: Training data that are too large to be held; `x_train` and `y_train` are then their
            first rows, for inspection only. None for everything else.

    Example:
        >>> data = Dataset("tiny", np.zeros((3, 2), "float32"), np.array([0, 1, 2]))
        >>> data.num_samples, data.num_classes
        (3, 3)
        >>> data.fingerprint[:8]
        '...'
    """

    name: str
    x_train: Arrays
    y_train: Arrays
    x_test: Arrays | None = None
    y_test: Arrays | None = None
    x_validation: Arrays | None = None
    y_validation: Arrays | None = None
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    stream: Stream | None = None

    @property
    def is_stream(self) -> bool:
        """Whether the training data are passed over in every epoch instead of held in memory."""
        return self.stream is not None

    @property
    def num_samples(self) -> int:
        """Training samples, before any split."""
        return len(next(iter(leaves(self.x_train).values())))

    @cached_property
    def num_classes(self) -> int | None:
        """Classes of the first output with class labels; None for regression and labels below zero.

        It is the width of one-hot rows, else the largest label plus one. Of a stream's labels only
        the first are at hand, so its validation labels are asked as well.
        """
        at_hand = [self.y_train, self.y_validation] if self.is_stream else [self.y_train]
        found = [first_class_ids(leaves(y).values()) for y in at_hand if y is not None]
        classes = [each for each in found if each is not None]
        if not classes or any(each.ids.min() < 0 for each in classes):
            return None
        return max(each.width or int(each.ids.max()) + 1 for each in classes)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the type, shape and bytes of every array, as 64 hexadecimal digits.

        Computed once: arrays that are changed in place afterwards keep the old one. A stream's name
        stands for its content, as its first rows need not be the same at the next pass.
        """
        digest = hashlib.sha256()
        if self.stream is not None:
            digest.update(f"stream {self.stream.identity}\n".encode())
        for part in PARTS[2 * self.is_stream :]:
            arrays: Arrays | None = getattr(self, part)
            for suffix, array in leaves(arrays).items() if arrays is not None else ():
                digest.update(f"{part}{suffix} {array.dtype.str} {array.shape}\n".encode())
                _update(digest, array)
        return digest.hexdigest()


def leaves(arrays: Arrays) -> dict[str, Array]:
    """Every array under what is written behind a variable to reach it: `""`, `"[0]"`, `"['name']"`.

    Args:
        arrays: One array, or a tuple or dictionary of them.

    Returns:
        The arrays, those of a dictionary in the order of their names.
    """
    if isinstance(arrays, tuple):
        return {f"[{index}]": array for index, array in enumerate(arrays)}
    if isinstance(arrays, dict):
        return {f"[{key!r}]": arrays[key] for key in sorted(arrays)}
    return {"": arrays}


def map_arrays(function: Callable[[Array], Array], arrays: Arrays) -> Arrays:
    """The same structure with the function applied to every array.

    Args:
        function: From one array to another.
        arrays: One array, or a tuple or dictionary of them.

    Returns:
        An array, tuple or dictionary, as was given.
    """
    if isinstance(arrays, tuple):
        return tuple(function(array) for array in arrays)
    if isinstance(arrays, dict):
        return {key: function(array) for key, array in arrays.items()}
    return function(arrays)


def _update(digest: hashlib._Hash, array: Array) -> None:
    """Hash an array in C order; what is not contiguous is copied in pieces of about 16 MiB."""
    if array.flags.c_contiguous:
        digest.update(array.reshape(-1).view(np.uint8).data)
        return
    rows = max(1, (16 << 20) * len(array) // array.nbytes)
    for start in range(0, len(array), rows):
        _update(digest, np.ascontiguousarray(array[start : start + rows]))
