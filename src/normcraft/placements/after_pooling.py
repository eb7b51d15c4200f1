"""Behind every pooling layer, local or global."""

from normcraft.graph import LayerGraph, Site, is_pooling

__all__ = ["select"]


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """The result of every pooling call.

    Returns:
        One site a pooling call; pooling behind the output layer is refused.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> chain = [Input((8, 8, 1), name="x"), layers.Conv2D(4, 3, name="conv")]
        >>> chain += [layers.GlobalMaxPooling2D(name="pool"), layers.Dense(2, name="head")]
        >>> sites = select(LayerGraph.read(Sequential(chain)))
        >>> [site.name for site in sites if not site.refused]
        ['pool']
    """
    return tuple(
        Site(call)
        if graph.is_hidden(call)
        else Site(call, refused="it pools the output; name `output` to normalize that")
        for call in graph.calls
        if is_pooling(call.layer)
    )
