"""The MODEL argument and the model file that a command writes."""

from __future__ import annotations

from pathlib import Path

from normcraft._core.errors import InputError
from normcraft._core.files import check_writable

__all__ = ["MODEL_HELP", "check_model_output"]

MODEL_HELP = (
    "A .keras file, path/to/file.py:function or package.module:function (your own code, which is "
    "run), or a recipe's name. An existing path wins over a name."
)


def check_model_output(output: Path, *, force: bool) -> None:
    """Makes sure that a model can be written, before the work whose result it shall hold."""
    if output.suffix != ".keras":
        raise InputError(
            "models are written in Keras's own format",
            received=repr(str(output)),
            expected="a path that ends in .keras",
        )
    check_writable(output, force=force)
