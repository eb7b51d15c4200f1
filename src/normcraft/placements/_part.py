"""Parts of a model that a placement can be held to, as in `before_activation@first`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import ceil

from normcraft.graph import Call, LayerGraph, depths

__all__ = ["PARTS"]


def first(graph: LayerGraph, calls: Iterable[Call]) -> set[str]:
    """The first blocks: of the depths at which the calls lie, the lower half.

    Args:
        graph: The graph.
        calls: The calls that a placement speaks of.

    Returns:
        Sites of those that stay.
    """
    table = depths(graph)
    found = {call.site: table[call.site] for call in calls}
    levels = sorted(set(found.values()))
    kept = levels[: ceil(len(levels) / 2)]
    return {site for site, depth in found.items() if depth in kept}


def hidden(graph: LayerGraph, calls: Iterable[Call]) -> set[str]:
    """All but what stands at an output of the model.

    Args:
        graph: The graph.
        calls: The calls that a placement speaks of.

    Returns:
        Sites of those that stay.
    """
    return {call.site for call in calls if call.is_input or graph.is_hidden(call)}


PARTS: Mapping[str, Callable[[LayerGraph, Iterable[Call]], set[str]]] = {
    "first": first,
    "hidden": hidden,
}
