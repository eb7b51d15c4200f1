"""Behind the activation of every hidden layer: the next layer's input is normalized."""

from collections.abc import Iterator

from normcraft.graph import (
    Call,
    LayerGraph,
    Site,
    activations_after,
    has_fused_activation,
    is_linear,
)
from normcraft.placements.before_activation import OUTPUT_LAYER

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
    return tuple(
        site for call in graph.calls if is_linear(call.layer) for site in _sites(graph, call)
    )


def _sites(graph: LayerGraph, call: Call) -> Iterator[Site]:
    if not graph.is_hidden(call):
        yield Site(call, refused=OUTPUT_LAYER)
    elif has_fused_activation(call.layer):
        yield Site(call)
    else:
        yield from map(Site, activations_after(graph, call) or [call])
