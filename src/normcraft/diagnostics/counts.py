"""Refuses numbers of rows, steps and batches that are none."""

from __future__ import annotations

from typing import Any

from normcraft._core.errors import InputError

__all__ = ["check_count"]


def check_count(value: Any, name: str, *, least: int = 0) -> None:
    """Refuses what is no number of things.

    Args:
        value: What was given.
        name: What it is called.
        least: The smallest that is accepted.

    Raises:
        InputError: If it is no whole number, or below the smallest.

    Example:
        >>> check_count(-1, "steps")
        Traceback (most recent call last):
        normcraft._core.errors.InputError: steps: received -1, expected a whole number, 0 or more
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(name, received=repr(value), expected=f"a whole number, {least} or more")
