"""`normcraft place`: normalization into a model."""

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
    Output,
    Skip,
    Unsafe,
    Verbose,
    Verify,
    edit,
)
from normcraft.cli._model_file import Rescale, Target, model_inputs

if TYPE_CHECKING:
    import keras

    from normcraft.surgery import EditResult

__all__ = ["place"]

PLACEMENT_HELP = "Where, + joins: before_activation, input+after_activation, as_given+after_add, …"
CALIBRATE_HELP = (
    "Make the insertion an identity at inference, on these data: digits, mnist, …, an .npz or .csv "
    "file, or a folder of class folders of images. Up to 2,048 rows of the training inputs count."
)


def place(
    model: Model,
    placement: Annotated[str, typer.Option(help=PLACEMENT_HELP)],
    kind: Annotated[str, typer.Option(help="batch, layer, group, instance or rms.")] = "batch",
    output: Output = None,
    only: Only = None,
    skip: Skip = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="One normalization for all calls of a shared layer.")
    ] = False,
    calibrate: Annotated[str | None, typer.Option(help=CALIBRATE_HELP)] = None,
    target: Target = None,
    rescale: Rescale = "auto",
    verify: Verify = False,
    dry_run: DryRun = False,
    imports: Imports = None,
    unsafe: Unsafe = False,
    force: Force = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int:
    """Put normalization into a model; what is there already is removed first.

    Begin the placement with as_given+ to keep it. Weights, names, compile settings stay.

    Example: normcraft place model.keras --placement before_activation -o placed.keras
    """

    def change(loaded: keras.Model) -> EditResult:
        from normcraft.surgery import insert_normalization

        return insert_normalization(
            loaded,
            placement,
            kind=kind,
            only=only,
            skip=skip,
            shared=shared,
            calibrate=model_inputs(calibrate, loaded, target=target, rescale=rescale),
            verify=verify,
        )

    return edit(
        change,
        title=f"place {placement} ({kind}) in {Path(model).name}",
        model=model,
        output=output,
        dry_run=dry_run,
        imports=imports,
        unsafe=unsafe,
        force=force,
        as_json=as_json,
    )
