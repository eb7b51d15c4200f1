"""`normcraft replace`: another kind of normalization at the same places."""

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

__all__ = ["replace"]


def replace(
    model: Model,
    kind: Annotated[str, typer.Option(help="batch, layer, group, instance or rms.")],
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
    """Swap the kind of a model's normalization; the learned scale and shift are carried over.

    Example: normcraft replace model.keras --kind group -o group.keras
    """

    def change(loaded: keras.Model) -> EditResult:
        from normcraft.surgery import replace_normalization

        return replace_normalization(loaded, kind, only=only, skip=skip, verify=verify)

    return edit(
        change,
        title=f"replace normalization by {kind} in {Path(model).name}",
        model=model,
        output=output,
        dry_run=dry_run,
        imports=imports,
        unsafe=unsafe,
        force=force,
        as_json=as_json,
    )
