"""Placement: one placement, or several joined by `+`."""

from __future__ import annotations

from dataclasses import dataclass

from normcraft._core.errors import InputError
from normcraft._core.registry import load, members
from normcraft.graph import LayerGraph, Site

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

    Example:
        >>> str(Placement.parse("output + before_activation"))
        'output+before_activation'
    """

    names: tuple[str, ...]

    @classmethod
    def parse(cls, expression: str | Placement) -> Placement:
        """Reads a placement expression.

        Args:
            expression: Names joined by `+`.

        Returns:
            The placement.

        Raises:
            InputError: If the expression is empty or names an unknown placement.
        """
        if isinstance(expression, Placement):
            return expression
        names = tuple(dict.fromkeys(name.strip() for name in str(expression).split("+")))
        if not any(names):
            raise InputError(
                "empty placement", received=repr(expression), expected=", ".join(placement_names())
            )
        for name in names:
            load(PACKAGE, name, what="placement")
        return cls(names)

    def __str__(self) -> str:
        return "+".join(self.names)

    @property
    def keeps_existing(self) -> bool:
        """Whether normalization that the model has already stays."""
        return "as_given" in self.names

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
        return tuple(sorted(kept, key=lambda site: (order[site.name], not site.inside)))
