"""What a search may cost, as it is written on the command line: `10m`, `64trials`, `500epochs`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from normcraft._core.errors import InputError

__all__ = ["Limit"]

FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
WORDS = {"trial": "trials", "trials": "trials", "epoch": "epochs", "epochs": "epochs"}
MOST = 1e9


@dataclass(frozen=True)
class Limit:
    """A limit on what a search spends.

    Attributes:
        amount: How much.
        unit: `"seconds"` of wall time, `"trials"` of full length, or `"epochs"` over all trials.

    Example:
        >>> Limit.parse("10m"), Limit.parse("64trials")
        (Limit(amount=600.0, unit='seconds'), Limit(amount=64.0, unit='trials'))
    """

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Reads a budget.

        Args:
            text: A number with `s`, `m`, `h`, `trials` or `epochs`.

        Returns:
            The limit.

        Raises:
            InputError: If it is none.
        """
        found = FORM.fullmatch(str(text).strip().lower())
        number, word = found.groups() if found else ("0", "")
        if word in SECONDS and 0 < float(number) <= MOST:
            return cls(float(number) * SECONDS[word], "seconds")
        if word in WORDS and "." not in number and 0 < int(number) <= MOST:
            return cls(float(number), WORDS[word])
        raise InputError(
            "bad budget",
            received=repr(text),
            expected="a time (90s, 10m, 2h), or one or more whole trials or epochs (64trials, "
            "500epochs)",
        )

    def epochs(self, length: int) -> int | None:
        """The limit in epochs over all trials.

        Args:
            length: Epochs of a trial of full length.

        Returns:
            A number of epochs; None for a time, whose worth has to be measured.

        Example:
            >>> Limit.parse("64trials").epochs(10)
            640
        """
        if self.unit == "seconds":
            return None
        return int(self.amount) * (length if self.unit == "trials" else 1)
