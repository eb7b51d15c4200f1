"""`normcraft remove`: normalization out of a model."""

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

if TYPE_CHECKING:
    import keras

    from normcraft.surgery import EditResult

__all__ = ["remove"]

MODE_HELP = (
    "drop: just take it out (the function of a trained model changes). fold: into the weights of "
    "other layers where that is exact; the rest is kept."
)


def remove(
    model: Model,
    mode: Annotated[str, typer.Option(help=MODE_HELP)] = "drop",
    output: Output = None,
    only: Only = None,
    skip: Skip = None,
    verify: Verify = False,
    dry_run: DryRun = False,
    imports: Imports = None,
    unsafe: Unsafe = False,
    force: Force = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int:
    """Take normalization out of a model.

    Example: normcraft remove model.keras --mode fold -o plain.keras
    """

    def change(loaded: keras.Model) -> EditResult:
        from normcraft.surgery import remove_normalization

        return remove_normalization(loaded, mode=mode, only=only, skip=skip, verify=verify)

    return edit(
        change,
        title=f"remove normalization ({mode}) from {Path(model).name}",
        model=model,
        output=output,
        dry_run=dry_run,
        imports=imports,
        unsafe=unsafe,
        force=force,
        as_json=as_json,
    )
