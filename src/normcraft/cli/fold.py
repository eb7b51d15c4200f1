"""`normcraft fold`: batch normalization into the weights, proved and written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    edit,
)
from normcraft.cli._model_file import Data, Rescale, Target, model_inputs

if TYPE_CHECKING:
    import keras

    from normcraft.surgery import EditResult

__all__ = ["fold"]

OUTPUT_HELP = "Write the folded model here: .keras, or .onnx (checked with ONNX Runtime)."
REST_HELP = "What does not fold: keep, or affine for the Rescaling layer that it amounts to."


def fold(
    model: Model,
    output: Annotated[Path | None, typer.Option("-o", "--output", help=OUTPUT_HELP)] = None,
    rest: Annotated[str, typer.Option(help=REST_HELP)] = "keep",
    data: Data = None,
    target: Target = None,
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

    def change(loaded: keras.Model) -> EditResult:
        from normcraft.surgery import fold_batch_normalization

        inputs = model_inputs(data, loaded, target=target, rescale=rescale)
        verify = True if inputs is None else inputs
        return fold_batch_normalization(loaded, rest=rest, only=only, skip=skip, verify=verify)

    return edit(
        change,
        title=f"fold {Path(model).name}",
        model=model,
        output=output,
        dry_run=dry_run,
        imports=imports,
        unsafe=unsafe,
        force=force,
        as_json=as_json,
        suffixes=(".keras", ".onnx"),
    )
