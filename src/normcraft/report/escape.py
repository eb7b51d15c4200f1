"""Text from models and files, made harmless for a terminal, a comment, HTML and a script block."""

from __future__ import annotations

import unicodedata

__all__ = ["script_json", "shortened", "visible", "visible_lines"]

# Control, format (bidirectional overrides are among them), surrogate, line and paragraph separator.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: object) -> str:
    r"""The text with every character that acts rather than shows written as its code.

    Names come from model files; a terminal obeys an escape sequence in them, and a line break would
    leave a comment or a table row.

    Args:
        text: Anything; its `str` is shown.

    Returns:
        One line of printable text.

    Example:
        >>> print(visible("conv\x1b[2J\n"))
        conv\x1b[2J\x0a
    """
    return "".join(_code(c) if unicodedata.category(c) in _HIDDEN else c for c in str(text))


def shortened(text: object, longest: int) -> str:
    r"""The same as `visible`, without the middle of what is too long for its place.

    Args:
        text: Anything; its `str` is shown.
        longest: Characters at most.

    Returns:
        One line of printable text.

    Example:
        >>> shortened("before_activation/batch/sigmoid", 20)
        'before_ac…ch/sigmoid'
    """
    whole = visible(text)
    if len(whole) <= longest:
        return whole
    half = longest // 2
    return f"{whole[: longest - half - 1]}\N{HORIZONTAL ELLIPSIS}{whole[-half:]}"


def visible_lines(text: str) -> str:
    r"""The same for text of several lines, such as code.

    Returns:
        Printable text with its line breaks.

    Example:
        >>> print(visible_lines("import keras\n\x07"))
        import keras
        \x07
    """
    return "\n".join(map(visible, text.split("\n")))


def _code(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def script_json(text: str) -> str:
    r"""JSON text that stays data inside a script element of an HTML page.

    Args:
        text: JSON; the characters replaced here can only stand inside its strings.

    Returns:
        The same JSON without `<`, `>`, `&` and the two line separators of JavaScript.

    Example:
        >>> print(script_json('{"name": "</script>"}'))
        {"name": "\u003c/script\u003e"}
    """
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
