"""Datasets from `.npz` archives: nothing is unpickled, sizes are checked before memory is taken."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from normcraft._core.errors import InputError, NormcraftError, about
from normcraft._core.memory import check_memory
from normcraft.data._arrays import from_arrays
from normcraft.data._dataset import Array, Dataset

__all__ = ["read_npz"]

KEYS = ("x_train", "y_train", "x_test", "y_test", "class_names")
SHOWN_NAMES = 20


def read_npz(path: Path, *, labels: str = "auto") -> Dataset:
    """The dataset in an `.npz` archive.

    Args:
        path: Path of the archive, with the arrays `x_train y_train [x_test y_test] [class_names]`.
        labels: As in `from_arrays`; the names in the file are left out where labels are mapped.

    Returns:
        The dataset, named after the file; other arrays in it are left out, and a note names them.

    Raises:
        InputError: The archive is damaged, too large, or does not hold such arrays.
    """  # noqa: DOC501 - ruff does not see through about
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {key: _read(archive, info) for key, info in _found(archive).items()}
            others = [name for name in archive.namelist() if name.removesuffix(".npy") not in KEYS]
            return _dataset(path, arrays, others, labels)
    except NormcraftError as error:
        raise about(repr(str(path)), error) from error
    except PermissionError as error:
        raise InputError(f"{str(path)!r} cannot be read", received=error.strerror) from error
    except (
        Exception
    ) as error:  # a damaged archive raises anything, from zlib's errors to tokenize's
        raise InputError(
            f"{str(path)!r} cannot be read as an .npz archive",
            received=f"{type(error).__name__} {str(error)[:200]!r}",
            expected="what numpy.savez writes",
            hint="the file may be damaged or cut short",
        ) from error


def _found(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    # The members to read, once they are known to be complete and not too large.
    members = {key: f"{key}.npy" for key in KEYS if f"{key}.npy" in archive.namelist()}
    if not {"x_train", "y_train"} <= members.keys() or ("x_test" in members) != (
        "y_test" in members
    ):
        raise InputError(
            "arrays are missing",
            received=_listing(archive.namelist()),
            expected="x_train, y_train and optionally both x_test and y_test, and class_names",
            hint="numpy.savez(path, x_train=..., y_train=...) writes them",
        )
    found = {key: archive.getinfo(member) for key, member in members.items()}
    check_memory("the archive", sum(info.file_size for info in found.values()))
    return found


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as file:
        _check_header(file, info)
    with archive.open(info) as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array


def _check_header(file: IO[bytes], info: zipfile.ZipInfo) -> None:
    # Pickled objects are refused, and a header that claims another size than the archive holds.
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, _, dtype = readers[np.lib.format.read_magic(file)](file)
    if dtype.hasobject:
        raise InputError(
            f"{info.filename!r} holds pickled Python objects, which are never loaded",
            expected="an array of numbers",
            hint="convert it to numbers and save it again",
        )
    claimed = file.tell() + math.prod(shape) * dtype.itemsize
    if claimed != info.file_size or dtype.itemsize == 0:
        raise InputError(
            f"{info.filename!r} is damaged",
            received=f"{info.file_size:,} bytes",
            expected=f"{claimed:,} bytes, as its header claims for shape {shape}",
        )


def _dataset(path: Path, arrays: dict[str, Array], others: list[str], labels: str) -> Dataset:
    test = (arrays["x_test"], arrays["y_test"]) if "x_test" in arrays else None
    data = from_arrays(
        arrays["x_train"], arrays["y_train"], test_data=test, name=path.stem, labels=labels
    )
    if "class_names" in arrays and data.class_names is None:
        data = replace(data, class_names=_class_names(arrays["class_names"], data))
    left_out = (f"left out of the file: {_listing(others)}",) if others else ()
    return replace(data, notes=(*data.notes, *left_out))


def _class_names(array: Array, data: Dataset) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind not in "US" or len(array) < (data.num_classes or 0):
        raise InputError(
            "class_names does not name the classes",
            received=f"dtype {array.dtype}, shape {array.shape}",
            expected=f"text of shape ({data.num_classes or 'classes'},)",
        )
    return tuple(str(name) for name in array.astype(str))


def _listing(names: Iterable[str]) -> str:
    quoted = sorted(repr(name.removesuffix(".npy")[:80]) for name in names)
    more = f" and {len(quoted) - SHOWN_NAMES} more" if len(quoted) > SHOWN_NAMES else ""
    return (", ".join(quoted[:SHOWN_NAMES]) or "no arrays") + more
