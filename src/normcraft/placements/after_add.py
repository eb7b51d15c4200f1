"""Behind every residual addition."""

from normcraft.graph import LayerGraph, Site
from normcraft.placements.before_add import residual_additions

__all__ = ["select"]


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """The sum at the end of every residual block.

    Returns:
        One site an addition; sums that are the output are refused.
    """
    return tuple(
        Site(call)
        if graph.is_hidden(call)
        else Site(call, refused="the sum is the output; name `output` to normalize it")
        for call in residual_additions(graph)
    )
