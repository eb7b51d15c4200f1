"""Where the report of a comparison is written."""

from __future__ import annotations

from pathlib import Path

from normcraft._core.errors import InputError
from normcraft._core.files import check_apart, check_writable

__all__ = ["report_page"]


def report_page(report: Path | None, store: Path, *, force: bool) -> Path:
    """The page as named, else beside the store; what is no report is replaced by force alone."""
    if store.is_dir():
        raise InputError(
            "the store is a folder", received=repr(str(store)), expected="the path of a .db file"
        )
    page = report or store.with_suffix(".html")
    check_apart(store=store, report=page)
    beside_a_new_store = report is None and not page.exists()  # with whose folder it is made
    if not beside_a_new_store and not _is_report(page):
        check_writable(page, force=force)
    return page


def _is_report(page: Path) -> bool:
    try:
        with page.open("rb") as stream:
            return b"normcraft" in stream.read(4096)
    except (OSError, ValueError):
        return False
