"""How much memory data may take; readers ask before they take it."""

from __future__ import annotations

import os

from normcraft._core.errors import InputError

__all__ = ["check_memory", "physical_memory"]

MAX_BYTES = 8 << 30
OF_DATA = "load the arrays yourself (memory-mapped) and pass them in place of the path"


def check_memory(what: str, size: int, *, at_most: int = MAX_BYTES, hint: str = OF_DATA) -> None:
    """Refuse what would take more than 8 GiB, or more than half of the machine's memory.

    Args:
        what: What would take it, for the error.
        size: Bytes in memory.
        at_most: A limit of its own.
        hint: How to do without.

    Raises:
        InputError: It is too much.

    Example:
        >>> check_memory("the archive", 1000)
    """
    limit = min(at_most, MAX_BYTES, physical_memory() // 2)
    if size > limit:
        raise InputError(
            f"{what} unpacks to more than is sane",
            received=f"{size:,} bytes",
            expected=f"at most {limit:,}",
            hint=hint,
        )


def physical_memory() -> int:
    """Bytes of physical memory.

    Returns:
        A positive number.

    Example:
        >>> physical_memory() > 1 << 20
        True
    """
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
