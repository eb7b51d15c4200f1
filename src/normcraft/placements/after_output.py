"""Behind the final activation: offered because it is seen; outputs stop being probabilities."""

from normcraft.graph import LayerGraph, Site

__all__ = ["select"]


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """Every output of the model.

    Returns:
        One site an output.
    """
    return tuple(Site(graph.producer(value)) for value in graph.outputs)
