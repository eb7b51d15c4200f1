"""A site: one place in a graph where normalization can stand."""

from __future__ import annotations

from dataclasses import dataclass

from normcraft.graph.families import (
    has_fused_activation,
    is_activation,
    is_normalization,
    is_wrapped_linear,
    keeps_channels,
)
from normcraft.graph.layer_graph import LayerGraph
from normcraft.graph.reader import Call

__all__ = ["Site", "activations_after"]


@dataclass(frozen=True)
class Site:
    """A place for normalization: behind a call, or between its linear part and its activation.

    Attributes:
        call: The call whose result is normalized.
        inside: True for between the linear part of `call` and the activation fused into it.
        refused: Why normalization must not stand here; None where it may.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "relu", name="a")])
        >>> site = Site.before_activation_of(LayerGraph.read(model).calls[-1])
        >>> site.name, site.inside
        ('a', True)
    """

    call: Call
    inside: bool = False
    refused: str | None = None

    @property
    def name(self) -> str:
        """Name of the site as plans and reports print it."""
        return self.call.site

    @classmethod
    def before_activation_of(cls, call: Call) -> Site:
        """The site between a linear call and its activation, fused or separate.

        Returns:
            A site on the linear result of `call`; refused where the activation cannot be split off.
        """
        fused = has_fused_activation(call.layer)
        if fused and is_wrapped_linear(call.layer):
            return cls(call, refused="its activation is inside TimeDistributed, which is not split")
        return cls(call, inside=fused)


def activations_after(graph: LayerGraph, call: Call) -> list[Call]:
    """Activations of their own that work on the result of a linear call.

    Normalization, dropout, pooling, padding and reshaping in between are looked through.

    Returns:
        Activation calls in topological order; several where the result branches.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> chain = [Input((4,)), layers.Dense(2), layers.Dropout(0.1), layers.ReLU(name="r")]
        >>> graph = LayerGraph.read(Sequential(chain))
        >>> [call.site for call in activations_after(graph, graph.calls[1])]
        ['r']
    """
    waiting, found, seen = [call], [], {call.site}
    while waiting:
        for consumer in graph.consumers(waiting.pop(0)):
            if consumer.site in seen:
                continue
            seen.add(consumer.site)
            if is_activation(consumer.layer):
                found.append(consumer)
            elif keeps_channels(consumer.layer) or is_normalization(consumer.layer):
                waiting.append(consumer)
    return found
