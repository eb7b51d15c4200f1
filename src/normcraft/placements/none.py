"""No normalization: what the model has is removed, and nothing is added."""

from normcraft.graph import LayerGraph, Site

__all__ = ["select"]


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """Adds nothing.

    Returns:
        No sites.
    """
    return ()
