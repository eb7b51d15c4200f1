"""One image file: what its header says, and its pixels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from normcraft._core.errors import InputError
from normcraft.data._dataset import Array

__all__ = ["COLOUR", "DEEP_GREY", "GREY", "Header", "read_header", "read_pixels"]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
GREY, DEEP_GREY, COLOUR = "grey", "grey of 16 bits", "colour"
SORTS = {"1": GREY, "L": GREY, "LA": GREY, "I": DEEP_GREY} | {
    f"I;16{order}": DEEP_GREY for order in ("", "B", "L", "N")
}


class Header(NamedTuple):
    """What is known of an image before it is decoded.

    Attributes:
        width: Pixels in a row.
        height: Rows.
        sort: `GREY`, `DEEP_GREY` or `COLOUR`, which palettes and CMYK are too.
        transparent: Whether it says how transparent its pixels are.
        animated: Whether it has more than one frame.
    """

    width: int
    height: int
    sort: str
    transparent: bool
    animated: bool


def read_header(path: Path) -> Header:
    """What the header of an image file says; no pixel is decoded.

    Args:
        path: Path of the file.

    Returns:
        The header.

    Raises:
        InputError: It is no PNG, JPEG, BMP, GIF or WebP, or has too many pixels.
    """  # noqa: DOC502 - raised by _opened
    with _opened(path) as image:
        return Header(
            image.width,
            image.height,
            SORTS.get(image.mode, COLOUR),
            image.has_transparency_data,
            getattr(image, "is_animated", False),
        )


def read_pixels(path: Path, sort: str) -> Array:
    """The pixels of an image, of its first frame where it has several.

    Args:
        path: Path of the file.
        sort: What they shall be: grey becomes colour where that is asked for.

    Returns:
        uint8 of shape (height, width) or (height, width, 3); uint16 where grey has 16 bits.

    Raises:
        InputError: The file is damaged or cut short.
    """  # noqa: DOC502 - raised by _opened
    with _opened(path) as image:
        if sort == DEEP_GREY:
            return np.asarray(image).astype(np.uint16)
        # A palette with transparency has to go through RGBA.
        is_palette = image.mode == "P" and image.has_transparency_data
        opaque = image.convert("RGBA") if is_palette else image
        return np.asarray(opaque.convert("L" if sort == GREY else "RGB"))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                yield image
    except Exception as error:  # a damaged image raises anything, from SyntaxError to struct.error
        raise InputError(
            f"{'/'.join(path.parts[-2:])!r} cannot be read as an image",
            received=f"{type(error).__name__} {str(error)[:200]!r}",
            expected="a whole PNG, JPEG, BMP, GIF or WebP file of sane size",
            hint="mend the file, or take it out",
        ) from error
