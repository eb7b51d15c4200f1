"""Images in class folders: sizes are read from their headers before memory is taken."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from normcraft._core.errors import InputError, NormcraftError, about
from normcraft._core.memory import check_memory
from normcraft.data._arrays import from_arrays
from normcraft.data._class_folders import class_folders
from normcraft.data._dataset import Array, Dataset
from normcraft.data._image_file import COLOUR, DEEP_GREY, Header, read_header, read_pixels
from normcraft.data._labels import as_text, listing

__all__ = ["read_image_folder"]

Headers = Mapping[Path, Header]


def read_image_folder(path: Path, *, labels: str = "auto") -> Dataset:
    """The images in a folder of class folders, as uint8 (uint16 where grey has 16 bits).

    Classes are the names of the folders in sorted order, images stand in the order of their names.
    Grey images have shape (height, width, 1); where some have colour, all become colour.

    Args:
        path: The folder: class folders, or `train` and optionally `validation` (or `val`) and
            `test` with class folders in each.
        labels: `"auto"` or `"map"`, which are the same here.

    Returns:
        The dataset, named after the folder.

    Raises:
        InputError: The folder is laid out otherwise, an image cannot be read, or images differ in
            size.
    """  # noqa: DOC501 - ruff does not see through about
    if labels == "numbers":
        raise InputError(
            "the labels of class folders are names",
            received="labels 'numbers'",
            expected="'auto' or 'map'",
        )
    try:
        return _dataset(path)
    except NormcraftError as error:
        raise about(repr(str(path)), error) from error
    except OSError as error:
        raise InputError(
            f"{str(path)!r} cannot be read", received=f"{error.strerror} at {error.filename!r}"
        ) from error


def _dataset(path: Path) -> Dataset:
    parts, left_out = class_folders(path)
    classes = list(parts["train"])
    headers = {
        file: read_header(file)
        for images in parts.values()
        for files in images.values()
        for file in files
    }
    _check_sizes(headers)
    sort, notes = _common_sort(headers)
    shape, dtype = _form(headers, sort)
    check_memory("the folder", len(headers) * math.prod(shape) * dtype.itemsize)
    if left_out:
        notes.append(f"left out of the folder: {listing(left_out)}")
    pairs: dict[str, tuple[Array, Array]] = {}
    for part, images in parts.items():
        counts = [len(images.get(name, ())) for name in classes]
        files = [file for name in classes for file in images.get(name, ())]
        pixels = np.empty((len(files), *shape), dtype)
        for index, file in enumerate(files):
            pixels[index] = read_pixels(file, sort).reshape(shape)
        pairs[part] = pixels, np.repeat(np.arange(len(classes)), counts)
    x, y = pairs["train"]
    data = from_arrays(
        x,
        y,
        validation_data=pairs.get("validation"),
        test_data=pairs.get("test"),
        name=path.resolve().name,
    )
    return replace(data, class_names=tuple(map(as_text, classes)), notes=tuple(notes))


def _check_sizes(headers: Headers) -> None:
    sizes = Counter((header.width, header.height) for header in headers.values())
    if len(sizes) == 1:
        return
    (usual, _), (other, _) = sizes.most_common(2)
    names = [
        next(f"{_short(file)} of {w} x {h}" for file, head in headers.items() if head[:2] == (w, h))
        for w, h in (usual, other)
    ]
    raise InputError(
        "the images differ in size",
        received=f"{' and '.join(names)} ({len(sizes)} sizes in {len(headers)} images)",
        expected="one size",
        hint="resize them first: PIL.Image.open(file).resize((width, height)).save(file)",
    )


def _common_sort(headers: Headers) -> tuple[str, list[str]]:
    # What all images become, with a note for what that changes.
    first = {header.sort: file for file, header in headers.items()}
    sorts = Counter(header.sort for header in headers.values())
    if DEEP_GREY in sorts and len(sorts) > 1:
        raise InputError(
            "the images differ in depth",
            received=" and ".join(f"{_short(file)} ({sort})" for sort, file in first.items()),
            expected="8 bits in all, or 16 bits in all",
            hint="convert them to one depth first",
        )
    grey = sum(sorts.values()) - sorts[COLOUR]
    notes = {
        "grey images were read as colour, like the rest": grey if len(sorts) > 1 else 0,
        "images are transparent in part; that was dropped": sum(
            header.transparent for header in headers.values()
        ),
        "images are animated; the first frame was read": sum(
            header.animated for header in headers.values()
        ),
    }
    sort = COLOUR if COLOUR in sorts else next(iter(sorts))
    return sort, [f"{count} of {len(headers)} {note}" for note, count in notes.items() if count]


def _form(headers: Headers, sort: str) -> tuple[tuple[int, int, int], np.dtype[Any]]:
    head = next(iter(headers.values()))
    dtype = np.dtype(np.uint16 if sort == DEEP_GREY else np.uint8)
    return (head.height, head.width, 3 if sort == COLOUR else 1), dtype


def _short(file: Path) -> str:
    return repr("/".join(file.parts[-2:]))
