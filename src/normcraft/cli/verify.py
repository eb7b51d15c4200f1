"""`normcraft verify`: whether two models compute the same."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from normcraft._core.backend import require_backend
from normcraft._core.errors import InputError
from normcraft.cli._edit import AsJson, Imports, Model, Unsafe, Verbose
from normcraft.cli._model_file import Data, Rescale, Target, model_inputs

__all__ = ["verify"]

TOLERANCE_HELP = "Largest relative difference; by default what rounding explains at this depth."
DIFFERENT = 1


def verify(
    model: Model,
    other: Annotated[str, typer.Argument(help="What to compare it with, as MODEL.")],
    data: Data = None,
    target: Target = None,
    rescale: Rescale = "auto",
    tolerance: Annotated[float | None, typer.Option(help=TOLERANCE_HELP)] = None,
    imports: Imports = None,
    unsafe: Unsafe = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int:
    """Verify that two models compute the same; exit code 1 where they do not.

    They are run on inputs made up to bring mistakes to light (ordinary, large, tiny, negative,
    constant, denormal), and on your data, if given.

    Example: normcraft verify model.keras folded.keras
    """
    if tolerance is not None and not 0 < tolerance < float("inf"):
        raise InputError(
            "the tolerance is no relative difference",
            received=str(tolerance),
            expected="a number above 0, for example 1e-5",
        )
    require_backend()
    from normcraft.recipes import load_model
    from normcraft.report.equivalence import equivalence_table
    from normcraft.report.table import as_text
    from normcraft.surgery import verify_equivalence

    first, second = (
        load_model(name, imports=imports or (), unsafe=unsafe) for name in (model, other)
    )
    x = model_inputs(data, first, target=target, rescale=rescale)
    found = verify_equivalence(first, second, x, tolerance=tolerance)
    if as_json:
        print(json.dumps(found.document()))
    else:
        print(as_text(equivalence_table(found.document())), end="")
    return 0 if found.equivalent else DIFFERENT
