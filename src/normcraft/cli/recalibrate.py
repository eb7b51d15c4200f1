"""`normcraft recalibrate`: moving statistics as exact population statistics."""

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
    Output,
    Unsafe,
    Verbose,
    edit,
)
from normcraft.cli._model_file import Rescale, Target, fitted_dataset

if TYPE_CHECKING:
    import keras

    from normcraft.surgery import EditResult

__all__ = ["recalibrate"]

DATA_HELP = (
    "The training data: digits, mnist, …, an .npz or .csv file, or a folder of class folders of "
    "images. All rows of the training inputs count; prepare them as for training."
)
BATCH_SIZE_HELP = "Most samples in a batch (256); batches are as alike as can be."
NUM_BATCHES_HELP = "Take only so many batches, the first ones; all by default."
LAYERWISE_HELP = (
    "Each layer sees the re-estimated ones before it, as it will at inference; takes a pass over "
    "the data for each normalization on the longest way through."
)


def recalibrate(
    model: Model,
    data: Annotated[str, typer.Option("--data", help=DATA_HELP)],
    output: Output = None,
    target: Target = None,
    rescale: Rescale = "auto",
    batch_size: Annotated[int | None, typer.Option(help=BATCH_SIZE_HELP)] = None,
    num_batches: Annotated[int | None, typer.Option(help=NUM_BATCHES_HELP)] = None,
    layerwise: Annotated[bool, typer.Option("--layerwise", help=LAYERWISE_HELP)] = False,
    dry_run: DryRun = False,
    imports: Imports = None,
    unsafe: Unsafe = False,
    force: Force = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int:
    """Re-estimate the moving statistics of batch normalization over the training data.

    Moving averages lag behind the weights; this gives each layer the mean and variance of what it
    receives over all of the data. What keeps its statistics is listed with the reason.

    Example: normcraft recalibrate model.keras --data train.npz -o recalibrated.keras
    """

    def change(loaded: keras.Model) -> EditResult:
        from normcraft.surgery import recalibrate

        return recalibrate(
            loaded,
            fitted_dataset(data, loaded, target=target, rescale=rescale).x_train,
            batch_size=batch_size,
            num_batches=num_batches,
            layerwise=layerwise,
        )

    return edit(
        change,
        title=f"recalibrate {Path(model).name}",
        model=model,
        output=output,
        dry_run=dry_run,
        imports=imports,
        unsafe=unsafe,
        force=force,
        as_json=as_json,
    )
