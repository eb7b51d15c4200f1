"""`normcraft report`: the report of a finished or running comparison, again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from normcraft._core.backend import require_backend
from normcraft._core.files import check_writable, write_atomically
from normcraft.cli._report_page import report_page

__all__ = ["report"]


def report(
    store: Annotated[Path, typer.Argument(help="The .db file of a comparison.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The HTML file to write; beside the store by default."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show tracebacks.")] = False,
) -> int:
    """Write the report of a comparison from its store, also while it still runs.

    Example: normcraft report normcraft-runs/digits.db -o report.html
    """
    if output is not None:
        check_writable(output, force=force)
    page = report_page(output, store, force=force)
    require_backend()
    from normcraft.report.document import document
    from normcraft.report.html import render_html
    from normcraft.studies import Store, read_study

    with Store(store, read_only=True) as opened:
        study = read_study(opened, report=str(page))
    write_atomically(page, render_html(*study), force=True)
    if as_json:
        print(json.dumps(document(study[0])))
    else:
        print(f"report: {page}")
    return 0
