"""Behind every residual addition."""

from normcraft.graph import LayerGraph, Site
from normcraft.placements.before_add import residual_additions

__all__ = ["select"]


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """The sum at the end of every residual block.

    Returns:
        One site an addition; sums that are the output are refused.

    Example:
        >>> from keras import Input, Model, layers
        >>> entry = Input((4,))
        >>> total = layers.Add(name="sum")([entry, layers.Dense(4, name="branch")(entry)])
        >>> graph = LayerGraph.read(Model(entry, layers.Dense(2)(total)))
        >>> [site.name for site in select(graph)]
        ['sum']
    """
    return tuple(
        Site(call)
        if graph.is_hidden(call)
        else Site(call, refused="the sum is the output; name `output` to normalize it")
        for call in residual_additions(graph)
    )
