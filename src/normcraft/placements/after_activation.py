"""Behind the activation of every hidden layer: the next layer's input is normalized."""

from normcraft.graph import Call, LayerGraph, Site, activations_after, has_fused_activation
from normcraft.placements._hidden import sites_of_hidden_layers

__all__ = ["select"]


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """The result of every linear call's activation; without an activation, the call's own result.

    Returns:
        At least one site a linear call (several where its result goes through several activations);
        output layers are refused.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> chain = [Input((8, 8, 1), name="x"), layers.Conv2D(4, 3, name="conv")]
        >>> chain += [layers.GlobalMaxPooling2D(name="pool"), layers.Dense(2, name="head")]
        >>> sites = select(LayerGraph.read(Sequential(chain)))
        >>> [site.name for site in sites if not site.refused]
        ['conv']
    """
    return sites_of_hidden_layers(graph, lambda call: _sites(graph, call))


def _sites(graph: LayerGraph, call: Call) -> list[Site]:
    if has_fused_activation(call.layer):
        return [Site(call)]
    return [Site(end) for end in activations_after(graph, call) or [call]]
