"""Showing a comparison where it runs: in a notebook, on a terminal, in a log file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console

from normcraft.report.table import render_text, table

if TYPE_CHECKING:
    from normcraft.api.comparison import Comparison

__all__ = ["in_notebook", "show"]


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this.

    Returns:
        False in a script, on a terminal and in IPython's own shell.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


def show(comparison: Comparison) -> None:
    """Shows the comparison: with its curves in a notebook, else as a table, plain in a log file.

    Args:
        comparison: What was compared.
    """
    if in_notebook():
        from IPython.display import display

        display(comparison)
    elif sys.stdout.isatty():
        Console().print(table(comparison.summary))
    else:
        print(render_text(comparison.summary), end="")
