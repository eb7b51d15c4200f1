"""Colors of the arms: Okabe and Ito's, told apart by colour-blind readers on white and on black.

The last two are darker than theirs, for a contrast of 3 to the page in light and in dark. There are
no more: their sky blue, as dark, is too near to the blue. Source: M. Okabe and K. Ito, Color
Universal Design, 2008.
"""

from __future__ import annotations

from dataclasses import dataclass

from normcraft.records import Summary

__all__ = ["BASELINE", "Stroke", "strokes"]

BASELINE = "#7f7f7f"
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#c4669a", "#b07d00")
_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Stroke:
    """How an arm is drawn.

    Attributes:
        color: Hexadecimal colour.
        dash: Plotly's name of the line's dashes.
    """

    color: str
    dash: str

    def faint(self, opacity: float) -> str:
        """The colour of areas behind the line.

        Returns:
            A CSS colour.
        """
        red, green, blue = (int(self.color[start : start + 2], 16) for start in (1, 3, 5))
        return f"rgba({red},{green},{blue},{opacity})"


def strokes(summary: Summary) -> dict[str, Stroke]:
    """A stroke for every arm: the baseline grey, the others in colour, then in dashes as well.

    Returns:
        Arm to stroke.
    """
    names = [arm.name for arm in summary.arms]
    found = {summary.verdict.baseline: Stroke(BASELINE, "solid")}
    others = [name for name in names if name != summary.verdict.baseline]
    for number, name in enumerate(others):
        turn, color = divmod(number, len(_COLORS))
        found[name] = Stroke(_COLORS[color], _DASHES[turn % len(_DASHES)])
    return found
