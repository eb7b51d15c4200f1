"""What a `.keras` file would take in memory, found before it is taken."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import keras

from normcraft._core.errors import InputError
from normcraft._core.memory import check_memory
from normcraft.graph import LayerGraph
from normcraft.recipes._imports import failure

__all__ = ["CONFIG", "WEIGHTS", "check_unpacked_size", "check_values", "variable_limit"]

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
SMALL = 256 << 20  # below this nothing that a file claims is worth a refusal
MAX_CONFIG_BYTES = 64 << 20  # as Python objects some twenty times that
MAX_RATIO = 100  # Keras does not compress, and weights hardly can be
MAX_VALUE_BYTES = 1 << 30
COPIES = 5  # a variable and an optimizer's state of it


def check_unpacked_size(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuses an archive that unpacks to more than is sane.

    That is more than memory allows, more than a hundred times what is packed, or a configuration
    of more than 64 MiB.

    Args:
        path: The archive.
        members: What its directory claims.
    """
    name, size = repr(str(path)), sum(member.file_size for member in members)
    config = sum(member.file_size for member in members if member.filename == CONFIG)
    hint = "load the model yourself and pass it in place of the path"
    check_memory(name, size, at_most=max(SMALL, MAX_RATIO * path.stat().st_size), hint=hint)
    check_memory(f"{CONFIG} in {name}", config, at_most=MAX_CONFIG_BYTES, hint=hint)


def variable_limit(path: Path, archive: zipfile.ZipFile) -> int:
    """How many bytes the variables of a model may take that has these weights.

    Args:
        path: Path of the archive, for the error.
        archive: A `.keras` file, its sizes checked.

    Returns:
        Room for the weights that the file holds and for an optimizer's state of each.

    Raises:
        InputError: The weights cannot be read, or claim to be larger than their file.
    """
    name = str(path)
    try:
        content = archive.read(WEIGHTS)
        with h5py.File(io.BytesIO(content), "r") as file:
            held = _bytes_of_arrays(file)
    except Exception as error:  # a damaged file raises anything, from zlib's errors to HDF5's
        raise InputError(
            f"the weights in {name!r} cannot be read",
            received=failure(error),
            expected=f"an archive whose {WEIGHTS!r} is what Keras wrote",
            hint="the file may be damaged",
        ) from error
    if held > max(SMALL, len(content)):
        raise InputError(
            f"the weights in {name!r} claim to be larger than the file that they are in",
            received=f"arrays of {held:,} bytes",
            expected=f"at most the {len(content):,} bytes of {WEIGHTS!r}",
            hint="the file may be damaged",
        )
    return max(SMALL, COPIES * held)


def check_values(model: keras.Model, what: str) -> None:
    """Refuses a model that cannot be run on a single sample.

    Args:
        model: A built model.
        what: What to call it in an error.

    Raises:
        InputError: What a layer hands out is too large.
    """
    for call in LayerGraph.read(model).calls:
        for value in call.outputs:
            size = 4 * math.prod(length or 1 for length in value.shape)
            if size > MAX_VALUE_BYTES:
                raise InputError(
                    f"{what} is too large to run",
                    received=f"{size:,} bytes a sample from {call.site!r}",
                    expected=f"at most {MAX_VALUE_BYTES:,}",
                    hint="the file may be damaged",
                )


def _bytes_of_arrays(file: h5py.File) -> int:
    sizes = []

    def note(_: str, entry: h5py.Group | h5py.Dataset) -> None:
        if isinstance(entry, h5py.Dataset):
            sizes.append((entry.size or 0) * entry.dtype.itemsize)

    file.visititems(note)
    return int(sum(sizes))
