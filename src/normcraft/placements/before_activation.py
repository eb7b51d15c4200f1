"""Between every hidden layer and its activation, as Ioffe and Szegedy (2015) propose."""

from normcraft.graph import LayerGraph, Site, is_linear

__all__ = ["OUTPUT_LAYER", "select"]

OUTPUT_LAYER = "output layer; name `output` or `after_output` to normalize it"


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """Every linear call's result before its activation; without an activation, its result.

    Returns:
        One site a linear call; output layers are refused.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> chain = [Input((8, 8, 1), name="x"), layers.Conv2D(4, 3, name="conv")]
        >>> chain += [layers.GlobalMaxPooling2D(name="pool"), layers.Dense(2, name="head")]
        >>> sites = select(LayerGraph.read(Sequential(chain)))
        >>> [site.name for site in sites if not site.refused]
        ['conv']
    """
    return tuple(
        Site.before_activation_of(call)
        if graph.is_hidden(call)
        else Site(call, refused=OUTPUT_LAYER)
        for call in graph.calls
        if is_linear(call.layer)
    )
