"""`normcraft fold`: batch normalization into the weights, proved and written."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from normcraft._core.backend import require_backend
from normcraft._core.errors import EquivalenceError, InputError
from normcraft._core.files import check_writable, save_atomically
from normcraft.cli._edit import (
    AsJson,
    DryRun,
    Force,
    Imports,
    Model,
    Only,
    Skip,
    Unsafe,
    Verbose,
    print_edit,
)
from normcraft.cli._model_file import Data, Rescale, model_inputs

if TYPE_CHECKING:
    import keras

    from normcraft.surgery import EditResult

__all__ = ["fold"]

OUTPUT_HELP = "Write the folded model here: .keras, or .onnx (checked with ONNX Runtime)."
REST_HELP = "What does not fold: keep, or affine for the Rescaling layer that it amounts to."
SUFFIXES = (".keras", ".onnx")
FAILED = 1


def fold(
    model: Model,
    output: Annotated[Path | None, typer.Option("-o", "--output", help=OUTPUT_HELP)] = None,
    rest: Annotated[str, typer.Option(help=REST_HELP)] = "keep",
    data: Data = None,
    rescale: Rescale = "auto",
    only: Only = None,
    skip: Skip = None,
    dry_run: DryRun = False,
    imports: Imports = None,
    unsafe: Unsafe = False,
    force: Force = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int:
    """Fold batch normalization into the weights around it; the outputs stay, and that is checked.

    What cannot be folded exactly is kept, with the reason. Exit code 1, and nothing written, where
    the outputs are not the same.

    Example: normcraft fold model.keras -o folded.keras
    """
    _check_output(output, dry_run=dry_run, force=force)
    require_backend()
    from normcraft.recipes import load_model
    from normcraft.surgery import fold_batch_normalization

    loaded = load_model(model, imports=imports or (), unsafe=unsafe)
    verify = True if data is None else model_inputs(data, loaded, rescale)
    written = None if dry_run or output is None else output
    try:
        result = fold_batch_normalization(loaded, rest=rest, only=only, skip=skip, verify=verify)
        difference = _write(result.model, written, force=force) if written else None
    except EquivalenceError as error:
        return _not_equivalent(error, as_json=as_json)
    _print(result, written, difference, Path(model).name, as_json=as_json)
    return 0


def _check_output(output: Path | None, *, dry_run: bool, force: bool) -> None:
    if output is None and not dry_run:
        raise InputError(
            "no output is named",
            received="neither -o nor --dry-run",
            expected="-o FILE.keras or FILE.onnx",
            hint="add --dry-run to see what would be done",
        )
    if output is not None:
        if output.suffix not in SUFFIXES:
            raise InputError(
                "models are written as .keras or .onnx",
                received=repr(str(output)),
                expected="a path that ends in one of them",
            )
        check_writable(output, force=force)


def _write(model: keras.Model, output: Path, *, force: bool) -> float | None:
    # How far ONNX Runtime is from Keras, where the file is for it.
    if output.suffix == ".keras":
        save_atomically(output, model.save, force=force)
        return None
    from normcraft.api.export import export_onnx

    return max(one.relative for one in export_onnx(model, output, force=force))


def _print(
    result: EditResult, written: Path | None, onnx: float | None, name: str, *, as_json: bool
) -> None:
    document: dict[str, Any] = result.document() | {"output": written and str(written)}
    if onnx is not None:
        document["onnx_max_relative_difference"] = onnx
    print_edit(document, f"fold {name}", as_json=as_json)


def _not_equivalent(error: EquivalenceError, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"equivalent": False, "output": None} | error.document()))
    else:
        print(f"{error}; nothing was written", file=sys.stderr)
    return FAILED
