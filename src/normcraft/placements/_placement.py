"""Placement: one placement, or several joined by `+`, perhaps held to a part of the model."""

from __future__ import annotations

from dataclasses import dataclass

from normcraft._core.errors import InputError, unknown_name
from normcraft._core.registry import load, members
from normcraft.graph import Call, LayerGraph, Site, is_normalization
from normcraft.placements._part import PARTS

__all__ = ["Placement", "placement_names"]

PACKAGE = "normcraft.placements"


def placement_names() -> tuple[str, ...]:
    """Names of all placements.

    Returns:
        Names in alphabetical order.

    Example:
        >>> "after_activation" in placement_names()
        True
    """
    return members(PACKAGE)


@dataclass(frozen=True)
class Placement:
    """Where normalization goes in a model: one placement or several, for example `"input+output"`.

    Attributes:
        names: The placements, in the order given, each once.
        part: Part of the model that it is held to: `"first"` for the lower half of the depths at
            which its sites lie, `"hidden"` for all but outputs; None for the whole.

    Example:
        >>> str(Placement.parse("output + before_activation"))
        'output+before_activation'
        >>> Placement.parse("before_activation@first").part
        'first'
    """

    names: tuple[str, ...]
    part: str | None = None

    @classmethod
    def parse(cls, expression: str | Placement) -> Placement:
        """Reads a placement expression.

        Args:
            expression: Names joined by `+`; behind `@` the part of the model.

        Returns:
            The placement.

        Raises:
            InputError: If the expression is empty or names an unknown placement or part.
        """  # noqa: DOC501 - ruff does not see through unknown_name
        if isinstance(expression, Placement):
            return expression
        text, at, part = str(expression).partition("@")
        if at and part.strip() not in PARTS:
            raise unknown_name("part of a placement", part.strip(), PARTS)
        names = tuple(dict.fromkeys(name.strip() for name in text.split("+")))
        if not any(names):
            raise InputError(
                "empty placement", received=repr(expression), expected=", ".join(placement_names())
            )
        for name in names:
            load(PACKAGE, name, what="placement")
        return cls(names, part.strip() or None)

    def __str__(self) -> str:
        return "+".join(self.names) + (f"@{self.part}" if self.part else "")

    @property
    def keeps_existing(self) -> bool:
        """Whether normalization that the model has already stays."""
        return "as_given" in self.names

    def removed(self, graph: LayerGraph) -> list[Call]:
        """The normalization of a model that goes before this placement inserts.

        Args:
            graph: The graph of the model.

        Returns:
            Calls: all of them, or with `as_given` those outside of the part.
        """
        calls = [call for call in graph.calls if is_normalization(call.layer)]
        if not self.keeps_existing:
            return calls
        if self.part is None:
            return []
        kept = PARTS[self.part](graph, calls)
        return [call for call in calls if call.site not in kept]

    def select(self, graph: LayerGraph) -> tuple[Site, ...]:
        """The sites of this placement in a graph.

        Args:
            graph: The graph, without the normalization that is to be removed.

        Returns:
            Every site once, in the order of the calls. A place that one part of the expression
            refuses and another takes is taken.
        """
        found: dict[tuple[str, bool], Site] = {}
        for name in self.names:
            for site in load(PACKAGE, name, what="placement").select(graph):
                place = (site.call.site, site.inside)
                if place not in found or found[place].refused:
                    found[place] = site
        taken = {site.name for site in found.values() if not site.refused}
        order = {call.site: index for index, call in enumerate(graph.calls)}
        kept = [site for site in found.values() if not site.refused or site.name not in taken]
        if self.part is not None:
            within = PARTS[self.part](graph, [site.call for site in kept if not site.refused])
            kept = [site for site in kept if site.refused or site.name in within]
        return tuple(sorted(kept, key=lambda site: (order[site.name], not site.inside)))
