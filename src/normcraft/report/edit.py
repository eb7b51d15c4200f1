"""What an edit did, or would do, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from normcraft.report.equivalence import constant_note
from normcraft.report.escape import visible

__all__ = ["edit_table"]

Document = Mapping[str, Any]
WORDS = {"inserted": "insert", "moved": "move", "replaced": "replace"}
WORDS |= {"kept": "keep", "skipped": "refuse"}
STYLES = {"insert": "green", "replace": "green", "move": "green", "remove": "yellow"}


def edit_table(document: Document, *, title: str) -> RenderableType:
    """The evidence of an edit as something that Rich prints: a row a site, then the sums.

    Names are shown with control characters as codes, and nothing in them is read as markup.

    Args:
        document: What `EditResult.document()` gives.
        title: The first line.

    Returns:
        A renderable.

    Example:
        >>> from normcraft.report.table import as_text
        >>> inserted = [{"site": "conv", "kind": "batch"}]
        >>> document = {"inserted": inserted, "removed": [], "biases_dropped": 1}
        >>> print(as_text(edit_table(document, title="place")))
        place
          insert  conv  batch
        1 inserted, 1 bias dropped
    """
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=2, overflow="fold")
    grid.add_column(ratio=3, overflow="fold")
    for word, site, detail in _rows(document):
        style = STYLES.get(word, "")
        cells = Text(f"  {word}", style), Text(visible(site)), Text(visible(detail))
        grid.add_row(*cells)
    rows = [grid] if grid.row_count else []
    return Group(Text(visible(title)), *rows, Text(", ".join(_sums(document))))


def _rows(document: Document) -> Iterator[tuple[str, str, str]]:
    folded = document.get("folded", 0)
    for site in document.get("removed", ()):
        yield "remove", site, "folded into the weights around it" if folded else ""
    for key, word in WORDS.items():
        for row in document.get(key, ()):
            site, detail = row.values()
            yield word, site, f"to {detail}" if key == "moved" else detail


def _sums(document: Document) -> list[str]:
    counts = [(len(document.get(key, ())), key) for key in ("inserted", "replaced", "moved")]
    counts += [
        (len(document.get("removed", ())), "removed"),
        (len(document.get("kept", ())), "kept"),
    ]
    counts += [(len(document.get("skipped", ())), "refused")]
    parts = [f"{number} {word}" for number, word in counts if number]
    for key, ending in (("biases_dropped", "dropped"), ("biases_restored", "given back")):
        number = document.get(key, 0)
        parts += [f"{number} {'bias' if number == 1 else 'biases'} {ending}"] * bool(number)
    if document.get("layers"):
        many = "s" * (document["layers"] != 1)
        parts.append(
            f"statistics of {document['layers']} layer{many} re-estimated over "
            f"{document['samples']:,} samples"
        )
    if document.get("inference_difference") is not None:
        parts.append(
            f"outputs moved by {document['inference_difference']:.1e} at inference and "
            f"{document['training_difference']:.1e} in training mode (relative)"
        )
    parts = parts or ["nothing changed"]
    if document.get("equivalent"):
        parts.append(f"outputs the same to {document['max_relative_difference']:.1e} (relative)")
    if document.get("constant_outputs"):
        parts.append(constant_note(document["constant_outputs"]))
    if document.get("onnx_max_relative_difference") is not None:
        parts.append(f"in ONNX Runtime to {document['onnx_max_relative_difference']:.1e}")
    return parts
