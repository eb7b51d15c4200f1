"""The MODEL argument and the model file that a command writes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from normcraft._core.errors import InputError
from normcraft._core.files import check_writable

if TYPE_CHECKING:
    import keras

    from normcraft.data import Dataset

__all__ = [
    "MODEL_HELP",
    "Data",
    "Rescale",
    "Target",
    "check_model_output",
    "fitted_dataset",
    "model_inputs",
]

DATA_HELP = (
    "Compare on these data as well: digits, mnist, …, an .npz or .csv file, or a folder of class "
    "folders of images; up to 2,048 rows of the training inputs."
)
TARGET_HELP = "The target column of a .csv; several, with commas, if they are numbers."
RESCALE_HELP = "auto scales integer images to [0, 1] unless the model does; none leaves them raw."
Data: TypeAlias = Annotated[str | None, typer.Option("--data", help=DATA_HELP)]
Target: TypeAlias = Annotated[str | None, typer.Option("--target", help=TARGET_HELP)]
Rescale: TypeAlias = Annotated[str, typer.Option("--rescale", help=RESCALE_HELP)]

MODEL_HELP = (
    "A .keras file, path/to/file.py:function or package.module:function (your own code, which is "
    "run), or a recipe's name. An existing path wins over a name."
)


def check_model_output(output: Path, suffixes: Sequence[str] = (".keras",), *, force: bool) -> None:
    """Makes sure that a model can be written, before the work whose result it shall hold."""
    if output.suffix not in suffixes:
        raise InputError(
            "the format of the output is not known",
            received=repr(str(output)),
            expected=f"a path that ends in {' or '.join(suffixes)}",
        )
    check_writable(output, force=force)


def model_inputs(data: str | None, model: keras.Model, *, target: str | None, rescale: str) -> Any:
    """Rows of a dataset as the model takes them, None without one; notes on it go to stderr."""
    from normcraft.api.prepare import calibration_inputs

    if data is None:
        if target is not None:
            raise InputError("a target column without data", received=f"--target {target!r}")
        if rescale != "auto":
            raise InputError(
                "data are to be rescaled, and there are none", received=f"--rescale {rescale!r}"
            )
        return None
    return calibration_inputs(fitted_dataset(data, model, target=target, rescale=rescale))


def fitted_dataset(data: str, model: keras.Model, *, target: str | None, rescale: str) -> Dataset:
    """A dataset as the model takes it; notes on it go to stderr."""
    from normcraft.api.prepare import as_dataset, fit_to_model

    dataset = fit_to_model(as_dataset(data, None, target=target), model, rescale=rescale)
    for note in dataset.notes:
        print(note, file=sys.stderr)
    return dataset
