"""Right behind the model's inputs: raw features are normalized by the network itself."""

from normcraft.graph import LayerGraph, Site

__all__ = ["select"]


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """Every input of the model.

    Returns:
        One site an input.
    """
    return tuple(Site(call) for call in graph.calls if call.is_input)
