"""What `place`, `remove` and `replace` have in common: a model in, an edited model out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from normcraft._core.backend import require_backend
from normcraft._core.errors import InputError
from normcraft._core.files import save_atomically
from normcraft.cli._model_file import MODEL_HELP, check_model_output

if TYPE_CHECKING:
    import keras

    from normcraft.surgery import EditResult

__all__ = [
    "AsJson",
    "DryRun",
    "Force",
    "Imports",
    "Model",
    "Only",
    "Output",
    "Skip",
    "Unsafe",
    "Verbose",
    "edit",
    "print_edit",
]

ONLY_HELP = "Only there: a name with * and ?, type=CLASS, or depth<N; repeatable."
Model: TypeAlias = Annotated[str, typer.Argument(help=MODEL_HELP)]
Output: TypeAlias = Annotated[
    Path | None, typer.Option("-o", "--output", help="Write the edited model here (.keras).")
]
Only: TypeAlias = Annotated[list[str] | None, typer.Option("--only", help=ONLY_HELP)]
Skip: TypeAlias = Annotated[
    list[str] | None, typer.Option("--skip", help="Not there; as --only, repeatable.")
]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")
]
Imports: TypeAlias = Annotated[
    list[str] | None, typer.Option("--import", help="Module with custom layers; repeatable.")
]
Unsafe: TypeAlias = Annotated[
    bool, typer.Option("--unsafe", help="Load model files that carry code (Lambda layers).")
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Verbose: TypeAlias = Annotated[bool, typer.Option("--verbose", help="Show tracebacks.")]


def edit(
    change: Callable[[keras.Model], EditResult],
    *,
    title: str,
    model: str,
    output: Path | None,
    dry_run: bool,
    imports: list[str] | None,
    unsafe: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Loads a model, edits it, says what was done and writes the result."""
    if output is None and not dry_run:
        raise InputError(
            "no output is named",
            received="neither -o nor --dry-run",
            expected="-o FILE.keras",
            hint="add --dry-run to see what would be done",
        )
    if output is not None:
        check_model_output(output, force=force)
    require_backend()
    from normcraft.recipes import load_model

    result = change(load_model(model, imports=imports or (), unsafe=unsafe))
    written = None if dry_run or output is None else output
    if written is not None:
        save_atomically(written, result.model.save, force=force)
    print_edit(result.document() | {"output": written and str(written)}, title, as_json=as_json)
    return 0


def print_edit(document: dict[str, Any], title: str, *, as_json: bool) -> None:
    """Prints what was done, as the document or as a table."""
    from rich.console import Console

    from normcraft.report.edit import edit_table
    from normcraft.report.escape import visible
    from normcraft.report.table import as_text

    if as_json:
        print(json.dumps(document))
        return
    table = edit_table(document, title=title)
    if sys.stdout.isatty():
        Console(highlight=False).print(table)
    else:
        print(as_text(table), end="")
    written = document["output"]
    print(f"written: {visible(written)}" if written else "nothing was written (--dry-run)")
