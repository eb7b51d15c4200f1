"""The cells of a table: numbers, or one line that says where there is none."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from reprlib import repr as short
from typing import NoReturn

from normcraft._core.errors import InputError

__all__ = ["TRUTH", "finite_numbers", "is_missing", "number", "refuse_cell"]

MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-"}
TRUTH = {"true": 1.0, "false": 0.0}
OTHER_POINT = re.compile(r"[+-]?\d[\d.,' ]*")


def number(cell: str) -> float | None:
    """What a cell says, if that is a number; `true` and `false` are 1 and 0.

    Args:
        cell: Text of a cell.

    Returns:
        The number, which may be NaN or infinite; None for text. Python's underscores and digits of
        other scripts are text: `1_2` is a name.

    Example:
        >>> number(" 1e3"), number("True"), number("1_2")
        (1000.0, 1.0, None)
    """
    text = cell.strip().lower()
    if text in TRUTH:
        return TRUTH[text]
    if "_" in text or not text.isascii():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def is_missing(cell: str) -> bool:
    """Whether a cell says in one of the usual ways that there is no value.

    Args:
        cell: Text of a cell.

    Returns:
        True for an empty cell, `NA`, `NaN`, `null`, `?` and the like.

    Example:
        >>> is_missing(" N/A"), is_missing("0")
        (True, False)
    """
    return cell.strip().lower() in MISSING


def finite_numbers(cells: Sequence[str], names: Sequence[str], line: int) -> list[float]:
    """The numbers in some cells of a row.

    Args:
        cells: Text of the cells.
        names: Names of their columns.
        line: Number of the line, for the error.

    Returns:
        One number a cell.

    Raises:
        InputError: A cell holds none, or one that is not finite.
    """  # noqa: DOC502 - raised by refuse_cell
    values = [number(cell) for cell in cells]
    bad = [i for i, value in enumerate(values) if value is None or not math.isfinite(value)]
    if bad:
        refuse_cell(cells[bad[0]], names[bad[0]], line, others=len(bad) - 1)
    return [value for value in values if value is not None]


def refuse_cell(cell: str, name: str, line: int, *, others: int = 0) -> NoReturn:
    """Refuse a cell that holds no number.

    Args:
        cell: Its text.
        name: Name of its column.
        line: Number of its line.
        others: How many more of the line hold none.

    Raises:
        InputError: Always.
    """
    more = f" and {others} more in that line" if others else ""
    where = f"{short(cell)} in line {line}, column {short(name)}{more}"
    if is_missing(cell):
        message, hint = "a value is missing", "fill it, or take the row or column out"
    elif number(cell) is not None:
        message, hint = "a cell is not finite", "fill it, or take the row or column out"
    elif OTHER_POINT.fullmatch(cell.strip()):
        message = "a cell is no number"
        hint = "numbers have a decimal point and nothing between thousands"
    else:
        message, hint = "a cell is no number", "code the column as numbers, or take it out"
    raise InputError(message, received=where, expected="a finite number", hint=hint)
