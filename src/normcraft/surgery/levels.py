"""In which order layers can be re-estimated, so that each sees those before it done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from normcraft.graph import LayerGraph, Value, unwrapped

__all__ = ["Level", "levels"]


class Level(NamedTuple):
    """Layers that one pass over the data serves.

    Attributes:
        layers: The layers; all that feeds them stands in earlier levels, or is among them.
        feed_each_other: Whether some of them do: the calls of one layer, behind each other.
    """

    layers: list[Any]
    feed_each_other: bool


def levels(graph: LayerGraph, chosen: Callable[[Any], bool]) -> list[Level]:
    """Layers by the longest way to them, counted in such layers.

    Layers that feed each other, as those of a nested model that is called twice in a row, share a
    level: none of them can be done before the others.

    Args:
        graph: The calls of a model.
        chosen: Which layers are meant.

    Returns:
        The levels, first things first.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> chain = [Input((4,)), layers.ReLU(name="a"), layers.Dense(2), layers.ReLU(name="b")]
        >>> found = levels(LayerGraph.read(Sequential(chain)), lambda x: isinstance(x, layers.ReLU))
        >>> [[layer.name for layer in level.layers] for level in found]
        [['a'], ['b']]
    """
    layers, feeding = _feeding(graph, chosen)
    depths: dict[int, int] = {}
    # With what feeds it a layer is a larger set than each of these, unless they feed each other.
    for key in sorted(layers, key=lambda key: len(feeding[key] | {key})):
        before = (depths[other] for other in feeding[key] if key not in feeding[other])
        depths[key] = 1 + max(before, default=0)
    found = []
    for depth in sorted(set(depths.values())):
        keys = [key for key in layers if depths[key] == depth]
        found.append(Level([layers[key] for key in keys], any(k in feeding[k] for k in keys)))
    return found


def _feeding(
    graph: LayerGraph, chosen: Callable[[Any], bool]
) -> tuple[dict[int, Any], dict[int, frozenset[int]]]:
    # The chosen layers by `id`, and all chosen layers that each depends on.
    layers: dict[int, Any] = {}
    feeding: dict[int, frozenset[int]] = {}
    behind: dict[Value, frozenset[int]] = {}
    for call in graph.calls:
        reaching = _union([behind[value] for value in call.inputs])
        layer = unwrapped(call.layer)
        if chosen(layer):
            key = id(layer)
            layers[key] = layer
            feeding[key] = feeding.get(key, frozenset()) | reaching
            reaching |= {key}
        behind |= dict.fromkeys(call.outputs, reaching)
    return layers, _closed(feeding)


def _union(sets: Sequence[frozenset[int]]) -> frozenset[int]:
    return frozenset().union(*sets)


def _closed(feeding: dict[int, frozenset[int]]) -> dict[int, frozenset[int]]:
    # What one call of a layer depends on, whatever stands behind another call of it does as well.
    while True:
        wider = {
            key: own | _union([feeding[other] for other in own]) for key, own in feeding.items()
        }
        if wider == feeding:
            return feeding
        feeding = wider
