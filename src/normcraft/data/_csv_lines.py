"""The lines of a text file that should be a table, and what separates its columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import TextIO

from normcraft._core.errors import InputError

__all__ = ["find_delimiter", "text_lines"]

MAX_LINE = 4 << 20
DELIMITERS = ",;\t|"


def text_lines(file: TextIO) -> Iterator[str]:
    """The lines, as long as they are text of sane length: no more than one is held in memory.

    Args:
        file: Opened with `errors="surrogateescape"`, so that a wrong byte can be told from text.

    Yields:
        One line after the other, with its end.

    Raises:
        InputError: A line is no UTF-8, holds a NUL byte, or is longer than 4 Mi characters.
    """
    for number in count(1):
        line = file.readline(MAX_LINE)
        if not line:
            return
        if len(line) == MAX_LINE:
            raise InputError(
                f"line {number} does not end",
                received=f"{MAX_LINE:,} characters without a line break",
                expected="one row a line",
            )
        if "\0" in line:
            raise InputError(
                f"line {number} holds a NUL byte",
                expected="a text file in UTF-8",
                hint="save it as CSV UTF-8",
            )
        _check_utf8(line, number)
        yield line


def _check_utf8(line: str, number: int) -> None:
    try:
        line.encode()
    except UnicodeEncodeError as error:
        byte = ord(line[error.start]) - 0xDC00
        raise InputError(
            f"line {number} is not in UTF-8",
            received=f"byte 0x{byte:02x} behind {line[: error.start][-20:]!r}",
            expected="a text file in UTF-8",
            hint="save it as CSV UTF-8",
        ) from None


def find_delimiter(first: str, second: str) -> str:
    """The character that parts a table's first two lines into equally many columns, or into most.

    Args:
        first: The header.
        second: The line below; empty where there is none.

    Returns:
        A comma, semicolon, tab or vertical bar; the comma where nothing parts them.

    Example:
        >>> find_delimiter("height;weight", "1,82;75,5")
        ';'
    """
    above, below = (re.sub(r'"[^"]*"', "", line) for line in (first, second))

    def fit(delimiter: str) -> tuple[bool, int]:
        times = above.count(delimiter)
        return times == below.count(delimiter) > 0, times

    return max(DELIMITERS, key=fit)
