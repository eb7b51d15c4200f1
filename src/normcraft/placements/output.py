"""Before the final activation: the logits are normalized."""

from normcraft.graph import LayerGraph, Site, Value, has_fused_activation, is_activation

__all__ = ["select"]


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """What goes into the last activation of every output; without one, the output itself.

    Returns:
        One site an output of the model.
    """
    return tuple(_site(graph, value) for value in graph.outputs)


def _site(graph: LayerGraph, value: Value) -> Site:
    call = graph.producer(value)
    while is_activation(call.layer) and not call.is_input:
        call = graph.producer(call.inputs[0])
    if call.is_input:
        return Site(call, refused="no layer between the input and the final activation")
    return Site(call, inside=has_fused_activation(call.layer))
