"""What a check of equivalence found, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from normcraft.report.escape import visible

__all__ = ["constant_note", "equivalence_table"]

HEADS = ("output", "inputs", "dtype", "absolute", "relative", "allowed", "labels")


def equivalence_table(document: Mapping[str, Any]) -> RenderableType:
    """The differences as something that Rich prints: a row an output and sort of inputs.

    Args:
        document: What `Equivalence.document()` gives.

    Returns:
        A renderable that ends with the verdict.

    Example:
        >>> from normcraft.report.table import as_text
        >>> row = {"output": "head", "inputs": "normal", "dtype": "float32", "absolute": 0.0}
        >>> row |= {"relative": 0.0, "tolerance": 1e-5, "label_flips": 0, "near_ties": 0}
        >>> print(as_text(equivalence_table({"differences": [row], "equivalent": True})))
        output  inputs  dtype    absolute  relative  allowed  labels
        head    normal  float32         0         0    1e-05
        the models compute the same
    """
    grid = Table.grid(padding=(0, 2, 0, 0))
    for head in HEADS:
        right = head in {"absolute", "relative", "allowed"}
        grid.add_column(justify="right" if right else "left", overflow="fold")
    grid.add_row(*HEADS)
    for row in document["differences"]:
        grid.add_row(*_cells(row))
    same = document["equivalent"]
    verdict = "the models compute the same" if same else "the models do not compute the same"
    lines = [Text(verdict, "green" if same else "bold red")]
    if document.get("constant_outputs"):
        lines.append(Text(constant_note(document["constant_outputs"])))
    return Group(grid, *lines)


def constant_note(names: Sequence[str]) -> str:
    """What to think of a check on outputs that never changed.

    Args:
        names: Names of these outputs.

    Returns:
        A clause that says so.

    Example:
        >>> constant_note(["head"])
        'but head was the same for all inputs: check on real data (--data)'
    """
    listed = ", ".join(map(visible, names))
    return f"but {listed} was the same for all inputs: check on real data (--data)"


def _cells(row: Mapping[str, Any]) -> list[Text]:
    figures = [f"{row[key]:.2g}" for key in ("absolute", "relative", "tolerance")]
    words = [f"{row['label_flips']} flipped"] * bool(row["label_flips"])
    words += [f"{row['near_ties']} near ties"] * bool(row["near_ties"])
    cells = [visible(row["output"]), row["inputs"], row["dtype"], *figures, ", ".join(words)]
    return [Text(cell) for cell in cells]
