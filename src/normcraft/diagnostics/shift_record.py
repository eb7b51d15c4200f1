"""How the distribution at one place moves while a model trains, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Course", "Shift"]

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Course:
    """The distribution at one place, on one fixed batch, before training and after each step.

    Attributes:
        mean: Mean over all values, one entry more than there were steps.
        std: Standard deviation over all values, likewise.
        low: The quantile at 15%, likewise.
        middle: The median.
        high: The quantile at 85%.
        moved: How far each step moved it: the 1-Wasserstein distance of each channel's values
            before and after the step, averaged over channels, over the standard deviation of the
            channel before; one entry a step.
    """

    mean: Numbers
    std: Numbers
    low: Numbers
    middle: Numbers
    high: Numbers
    moved: Numbers

    @property
    def total(self) -> float:
        """The way it went: the sum over all steps."""
        return sum(self.moved)


@dataclass(frozen=True)
class Shift:
    """What goes on from one place to the next layers, with normalization there and without.

    Attributes:
        name: Name of the normalization in the model that has it.
        site: Name of the call whose result it normalizes.
        with_normalization: What it gives.
        without: What the call gives in the model that was trained without normalization.
    """

    name: str
    site: str
    with_normalization: Course
    without: Course
