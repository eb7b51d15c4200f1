"""The model as it is: normalization that it has stays where it stands."""

from normcraft.graph import LayerGraph, Site

__all__ = ["select"]


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """Adds nothing.

    Returns:
        No sites.
    """
    return ()
