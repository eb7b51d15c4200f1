"""Before the final activation: the logits are normalized."""

from normcraft.graph import (
    Call,
    LayerGraph,
    Site,
    has_fused_activation,
    is_activation,
    is_pooling,
    keeps_channels,
)

__all__ = ["select"]


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """What goes into the last activation of every output; without one, the output itself.

    Returns:
        One site an output of the model.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> chain = [Input((8, 8, 1), name="x"), layers.Conv2D(4, 3, name="conv")]
        >>> chain += [layers.GlobalMaxPooling2D(name="pool"), layers.Dense(2, name="head")]
        >>> sites = select(LayerGraph.read(Sequential(chain)))
        >>> [site.name for site in sites if not site.refused]
        ['head']
    """
    return tuple(_site(graph, graph.producer(value)) for value in graph.outputs)


def _site(graph: LayerGraph, last: Call) -> Site:
    call = _final_activation(graph, last) or last
    while is_activation(call.layer):
        call = graph.producer(call.inputs[0])
    if call.is_input:
        return Site(call, refused="no layer between the input and the final activation")
    return Site.before_activation_of(call)


def _final_activation(graph: LayerGraph, call: Call) -> Call | None:
    # Its result may be reshaped or cast on the way to the output.
    while call.inputs and keeps_channels(call.layer) and not is_pooling(call.layer):
        call = graph.producer(call.inputs[0])
    active = is_activation(call.layer) or has_fused_activation(call.layer)
    return call if active else None
