"""At the end of every residual branch, before the addition; identity shortcuts stay as they are."""

from collections.abc import Iterator

from normcraft.graph import (
    Call,
    LayerGraph,
    Site,
    Value,
    is_activation,
    is_addition,
    is_linear,
    keeps_channels,
)

__all__ = ["residual_additions", "select"]


def residual_additions(graph: LayerGraph) -> Iterator[Call]:
    """Additions of two or more tensors of one shape, as at the end of a residual block.

    Yields:
        Calls in topological order.

    Example:
        >>> from keras import Input, Model, layers
        >>> entry = Input((4,))
        >>> total = layers.Add(name="sum")([entry, layers.Dense(4, name="branch")(entry)])
        >>> graph = LayerGraph.read(Model(entry, layers.Dense(2)(total)))
        >>> [call.site for call in residual_additions(graph)]
        ['sum']
    """
    for call in graph.calls:
        if is_addition(call.layer) and len(call.inputs) > 1:
            shapes = {value.shape for value in call.inputs}
            if len(shapes) == 1 and len(next(iter(shapes))) > 1:
                yield call


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """The end of every branch that computes something before it is added.

    Returns:
        One site a branch; none for identity shortcuts.

    Example:
        >>> from keras import Input, Model, layers
        >>> entry = Input((4,))
        >>> total = layers.Add(name="sum")([entry, layers.Dense(4, name="branch")(entry)])
        >>> graph = LayerGraph.read(Model(entry, layers.Dense(2)(total)))
        >>> [site.name for site in select(graph)]
        ['branch']
    """
    ends = (
        _branch_end(graph, value)
        for addition in residual_additions(graph)
        for value in addition.inputs
    )
    return tuple({end.site: Site(end) for end in ends if end}.values())


def _branch_end(graph: LayerGraph, value: Value) -> Call | None:
    call = graph.producer(value)
    while keeps_channels(call.layer) and len(graph.consumers(call)) == 1 and call.inputs:
        call = graph.producer(call.inputs[0])
    alone = len(graph.consumers(call)) == 1
    return call if alone and (is_linear(call.layer) or is_activation(call.layer)) else None
