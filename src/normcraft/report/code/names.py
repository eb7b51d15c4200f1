"""Variable names in written code."""

from __future__ import annotations

import builtins
import keyword
import re

__all__ = ["Names"]

_RESERVED = frozenset({"inputs", "outputs", "model", "keras", "layers", "json", "np"})
_PASSING = re.compile(r"[xyz]|branch_\d+")


class Names:
    """The names that stay in use until the end of the code: models, shared layers, imports."""

    def __init__(self) -> None:
        self._taken = {*_RESERVED, *keyword.kwlist, *keyword.softkwlist, *dir(builtins)}

    @staticmethod
    def is_passing(name: str) -> bool:
        """Whether the name is one of those that hold a tensor for a few lines.

        Returns:
            True for `x`, `y`, `z`, `branch_1` and so on.
        """
        return _PASSING.fullmatch(name) is not None

    def claim(self, name: str) -> bool:
        """Take the name as it stands.

        Returns:
            Whether it was free.
        """
        free = name.isidentifier() and name not in self._taken and not self.is_passing(name)
        self._taken.add(name)
        return free

    def fresh(self, wish: str) -> str:
        """A free variable name as near to the wish as Python allows.

        Returns:
            An ASCII identifier, taken from now on.
        """
        stem = re.sub(r"[^0-9a-z_]+", "_", wish.lower()).strip("_") or "value"
        stem = f"layer_{stem}" if stem[0].isdigit() else stem
        name, number = stem, 2
        while not self.claim(name):
            name, number = f"{stem}_{number}", number + 1
        return name
