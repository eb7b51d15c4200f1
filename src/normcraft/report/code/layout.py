"""How Python code is laid out: one line where it fits, else one argument a line."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Group", "Piece", "flat", "lay_out", "literal", "prefixed"]

WIDTH = 88
_INDENT = "    "


@dataclass(frozen=True)
class Group:
    """A call, list or dictionary whose items may each take a line.

    Attributes:
        opening: Text up to and with the opening bracket.
        items: What stands between the commas.
        closing: The closing bracket and what follows it.
        spread: Whether every item takes a line even where one line would do.
    """

    opening: str
    items: tuple[Piece, ...]
    closing: str
    spread: bool = False


Piece = str | Group


def flat(piece: Piece) -> str:
    """The piece on one line.

    Returns:
        Python code without a line break.
    """
    if isinstance(piece, str):
        return piece
    return piece.opening + ", ".join(map(flat, piece.items)) + piece.closing


def lay_out(piece: Piece, indent: str = "", room: int = 0) -> str:
    """The piece on one line where it fits, else with one item a line.

    Args:
        piece: What to lay out.
        indent: White space in front of every line but the first.
        room: Characters that the last line must leave free.

    Returns:
        Python code.
    """
    if isinstance(piece, str) or not piece.items:
        return flat(piece)
    inner = indent + _INDENT
    if not _is_spread(piece):
        if len(indent + flat(piece)) + room <= WIDTH:
            return flat(piece)
        line = inner + ", ".join(map(flat, piece.items))
        if len(line) <= WIDTH:
            return f"{piece.opening}\n{line}\n{indent}{piece.closing}"
    items = [inner + lay_out(item, inner, room=1) + ",\n" for item in piece.items]
    return f"{piece.opening}\n{''.join(items)}{indent}{piece.closing}"


def _is_spread(piece: Piece) -> bool:
    return isinstance(piece, Group) and (piece.spread or any(map(_is_spread, piece.items)))


def prefixed(prefix: str, piece: Piece, suffix: str = "") -> Piece:
    """The piece with text in front and behind.

    Returns:
        A piece that breaks where the given one does.
    """
    if isinstance(piece, str):
        return prefix + piece + suffix
    return Group(prefix + piece.opening, piece.items, piece.closing + suffix, piece.spread)


def literal(text: str) -> str:
    """The string as a Python literal, in double quotes where that needs no more escapes.

    Returns:
        What `repr` gives, its quotes aside: nothing in the text can end the literal.
    """
    written = repr(text)
    if written[0] == "'" and '"' not in written:
        return f'"{written[1:-1]}"'
    return written
