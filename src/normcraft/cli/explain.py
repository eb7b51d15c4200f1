"""`normcraft explain`: the steps of normalization on real activations."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from normcraft._core.backend import require_backend
from normcraft._core.files import check_writable
from normcraft.cli._edit import AsJson, Force, Imports, Model, Unsafe, Verbose
from normcraft.cli._model_file import Rescale, Target

__all__ = ["explain"]

DATA_HELP = (
    "digits, mnist, …; an .npz file with x_train, y_train; a .csv with --target; or a folder of "
    "class folders of images. The first 32 rows are looked at."
)
LAYER_HELP = "Only this normalization layer or site, with its channels."
STEPS_HELP = "Training steps so far; by default those that the model's optimizer has counted."
TRAIN_HELP = "Train copies for so many steps, with normalization and without: what moves?"


def explain(
    model: Model,
    data: Annotated[str, typer.Option(help=DATA_HELP)],
    layer: Annotated[str | None, typer.Option(help=LAYER_HELP)] = None,
    steps: Annotated[int | None, typer.Option(help=STEPS_HELP)] = None,
    train: Annotated[int, typer.Option(help=TRAIN_HELP)] = 0,
    rows: Annotated[int, typer.Option(help="How many of the first rows to look at.")] = 32,
    target: Target = None,
    rescale: Rescale = "auto",
    report: Annotated[
        Path | None,
        typer.Option("-o", "--output", "--report", help="Write the page with pictures here."),
    ] = None,
    imports: Imports = None,
    unsafe: Unsafe = False,
    force: Force = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int:
    """Explain what normalization does in a model on real data, layer by layer.

    Batch mean and variance, normalized, scaled and shifted; values behind each statistic; ε against
    the variance; initial values left in the moving averages; training against inference.

    Example: normcraft explain model.keras --data train.npz --report steps.html
    """
    if report is not None:
        check_writable(report, force=force)
    require_backend()
    from rich.console import Console

    from normcraft.api.explain import explain as look
    from normcraft.report.explanation_text import explanation_table, explanation_text

    found = look(
        model,
        data,
        layer=layer,
        steps=steps,
        train=train,
        rows=rows,
        target=target,
        rescale=rescale,
        imports=imports or (),
        unsafe=unsafe,
    )
    if report is not None:
        found.report(report, force=force)
    if as_json:
        print(json.dumps(found.document() | {"report": report and str(report)}))
    elif sys.stdout.isatty():
        Console(highlight=False).print(explanation_table(found.explanation))
    else:
        print(explanation_text(found.explanation), end="")
    if report is not None and not as_json:
        print(f"report: {report}")
    return 0
