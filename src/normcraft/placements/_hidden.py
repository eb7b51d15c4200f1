"""The calls that `before_activation` and `after_activation` speak of."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from normcraft.graph import Call, LayerGraph, Site, is_linear, is_wrapped_linear, layers_inside

__all__ = ["sites_of_hidden_layers"]

OUTPUT_LAYER = "output layer; name `output` or `after_output` to normalize it"


def sites_of_hidden_layers(
    graph: LayerGraph, sites: Callable[[Call], Iterable[Site]]
) -> tuple[Site, ...]:
    """The sites of every Dense, EinsumDense and convolution call that other layers follow.

    Args:
        graph: The graph.
        sites: The sites of one such call.

    Returns:
        Those sites; output layers, and layers that keep such layers inside, are refused.
    """
    found: list[Site] = []
    for call in graph.calls:
        inside = layers_inside(call.layer, is_linear)
        if inside:
            found.append(Site(call, refused=_out_of_reach(call, inside)))
        elif is_linear(call.layer) or is_wrapped_linear(call.layer):
            found += sites(call) if graph.is_hidden(call) else [Site(call, refused=OUTPUT_LAYER)]
    return tuple(found)


def _out_of_reach(call: Call, number: int) -> str:
    layers = (
        f"{number} Dense or convolution layers" if number > 1 else "a Dense or convolution layer"
    )
    return (
        f"{type(call.layer).__name__} computes with {layers} inside, where surgery does not reach"
    )
