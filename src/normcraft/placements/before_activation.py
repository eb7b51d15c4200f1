"""Between every hidden layer and its activation, as Ioffe and Szegedy (2015) propose."""

from normcraft.graph import LayerGraph, Site
from normcraft.placements._hidden import sites_of_hidden_layers

__all__ = ["select"]


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
    return sites_of_hidden_layers(graph, lambda call: [Site.before_activation_of(call)])
