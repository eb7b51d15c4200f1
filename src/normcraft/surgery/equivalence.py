"""What a check of equivalence found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Difference", "Equivalence"]


@dataclass(frozen=True)
class Difference:
    """How far one output of two models is apart on one sort of inputs.

    Attributes:
        output: Name of the output's layer.
        inputs: Which inputs: `"given"`, or of those made up `"normal"`, `"large"`, `"tiny"`,
            `"negative"`, `"constant"`, `"denormal"`, `"integers"`.
        dtype: In which the models computed: the narrowest of their own, or `"float64"`.
        absolute: max|a - b|.
        relative: max|a - b| / max|a|, 0 where both are zero.
        tolerance: What `relative` may be.
        label_flips: Rows whose largest entry is another one, near-ties apart; 0 for outputs that
            are no vectors.
        near_ties: Rows likewise, whose two largest entries are closer than the tolerance.
    """

    output: str
    inputs: str
    dtype: str
    absolute: float
    relative: float
    tolerance: float
    label_flips: int
    near_ties: int

    @property
    def holds(self) -> bool:
        """Whether it is within the tolerance, without a flipped label."""
        return self.relative <= self.tolerance and not self.label_flips


@dataclass(frozen=True)
class Equivalence:
    """Whether two models compute the same, and how surely.

    Attributes:
        differences: One for each output, sort of inputs and dtype.
        rows: How many rows of inputs were compared.
        dtype: The narrowest dtype that the models compute in.
        constant: Outputs that were the same for all inputs, of which the check says little.
        no_float64: Why float64 was left out; None where it was not.
    """

    differences: tuple[Difference, ...]
    rows: int
    dtype: str
    constant: tuple[str, ...] = ()
    no_float64: str | None = None

    @property
    def equivalent(self) -> bool:
        """Whether every difference is within its tolerance, without a flipped label."""
        return all(one.holds for one in self.differences)

    @property
    def worst(self) -> Difference:
        """The difference that is largest against its tolerance."""
        return max(self.differences, key=lambda one: one.relative / one.tolerance)

    def largest(self, name: str, dtype: str | None = None) -> float | None:
        """The largest of one figure.

        Args:
            name: `"absolute"` or `"relative"`.
            dtype: Only of what was computed in it; None for the models' own precision.

        Returns:
            That figure; None where nothing was computed so.
        """
        own = [one for one in self.differences if one.dtype == (dtype or self.dtype)]
        return max((float(getattr(one, name)) for one in own), default=None)

    def document(self) -> dict[str, Any]:
        """The findings as the JSON document that `normcraft verify` prints.

        Returns:
            The largest figures, the verdict, the tolerance of the worst, and all differences.
        """
        return {
            "max_absolute_difference": self.largest("absolute"),
            "max_relative_difference": self.largest("relative"),
            "max_relative_difference_float64": self.largest("relative", "float64"),
            "label_flips": sum(one.label_flips for one in self.differences),
            "near_ties": sum(one.near_ties for one in self.differences),
            "tolerance": self.worst.tolerance,
            "rows": self.rows,
            "constant_outputs": list(self.constant),
            "dtype": self.dtype,
            "equivalent": self.equivalent,
            "differences": [vars(one) for one in self.differences],
        }
