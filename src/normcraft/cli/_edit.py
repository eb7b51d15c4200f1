"""What the commands that edit have in common: a model in, an edited model out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from normcraft._core.backend import require_backend
from normcraft._core.errors import EquivalenceError, InputError
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
    "Verify",
    "edit",
]

NOT_EQUIVALENT = 1
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
Verify: TypeAlias = Annotated[
    bool, typer.Option("--verify", help="Write nothing (exit 1) if outputs are not the same.")
]
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
    suffixes: Sequence[str] = (".keras",),
) -> int:
    """Loads a model, edits it, says what was done and writes the result."""
    if output is None and not dry_run:
        raise InputError(
            "no output is named",
            received="neither -o nor --dry-run",
            expected="-o " + " or ".join(f"FILE{suffix}" for suffix in suffixes),
            hint="add --dry-run to see what would be done",
        )
    if output is not None:
        check_model_output(output, suffixes, force=force)
    require_backend()
    from normcraft.recipes import load_model

    loaded = load_model(model, imports=imports or (), unsafe=unsafe)
    written = None if dry_run else output
    try:
        result = change(loaded)
        more = _write(result.model, written, force=force) if written else {}
    except EquivalenceError as error:
        return _not_equivalent(error, as_json=as_json)
    document = result.document() | more | {"output": written and str(written)}
    _print(document, title, as_json=as_json)
    return 0


def _write(model: keras.Model, output: Path, *, force: bool) -> dict[str, float]:
    # What more there is to say: how far ONNX Runtime is from Keras, where the file is for it.
    if output.suffix == ".keras":
        save_atomically(output, model.save, force=force)
        return {}
    from normcraft.api.export import export_onnx

    differences = export_onnx(model, output, force=force)
    return {"onnx_max_relative_difference": max(one.relative for one in differences)}


def _not_equivalent(error: EquivalenceError, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"equivalent": False, "output": None} | error.document()))
    else:
        print(f"normcraft: {error}; nothing was written", file=sys.stderr)
    return NOT_EQUIVALENT


def _print(document: dict[str, Any], title: str, *, as_json: bool) -> None:
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
