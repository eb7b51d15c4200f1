"""Folding backward: which normalization the layer right before it can take into its weights.

y = scale·(W*x + b) + shift = (scale·W)*x + (scale·b + shift) holds exactly where nothing stands
between the two, nothing else sees the layer's result, and the normalization's statistics are fixed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from normcraft.graph import (
    Call,
    LayerGraph,
    has_fused_activation,
    is_linear,
    is_wrapped_linear,
    unwrapped,
)
from normcraft.kinds import kind_of, load_kind
from normcraft.surgery.planning.plan import Fold

__all__ = ["Folding", "fold_backward"]


@dataclass(frozen=True, eq=False)
class Folding:
    """What can be folded.

    Attributes:
        folds: The folds, by `id` of the layer that takes them.
        folded: Calls of normalization that go.
        kept: `(site, reason)` of those that stay.
    """

    folds: dict[int, Fold]
    folded: list[Call]
    kept: list[tuple[str, str]]


def fold_backward(graph: LayerGraph, calls: Sequence[Call]) -> Folding:
    """Finds the normalization that folds exactly into the Dense or convolution right before it.

    Normalization behind normalization folds too, one after the other.

    Args:
        graph: The model's graph.
        calls: Calls of normalization.

    Returns:
        What folds, and why the rest does not.
    """
    folds: dict[int, Fold] = {}
    folded: list[Call] = []
    reasons = _obstacles(graph, calls)
    while any(reasons[call.site] is None for call in calls):
        now = [call for call in calls if reasons[call.site] is None]
        for normalization, layer in {id(p): (n, p) for n, p in _layers(graph, now)}.values():
            folds[id(layer)] = _followed(folds.get(id(layer)), layer, normalization)
        graph, folded = graph.without(now), folded + now
        rest = {call.site for call in calls} - {call.site for call in now}
        calls = [call for call in graph.calls if call.site in rest]
        reasons = _obstacles(graph, calls)
    return Folding(folds, folded, [(call.site, str(reasons[call.site])) for call in calls])


def _layers(graph: LayerGraph, calls: Sequence[Call]) -> list[tuple[Any, Any]]:
    return [(call.layer, graph.producer(call.inputs[0]).layer) for call in calls]


def _followed(before: Fold | None, layer: Any, normalization: Any) -> Fold:
    scale, shift = _affine(normalization)
    if before is None:
        return Fold(layer, scale, shift)
    return Fold(layer, before.scale * scale, before.shift * scale + shift)


def _affine(normalization: Any) -> Any:
    kind = kind_of(normalization)
    return load_kind(kind).inference_affine(normalization) if kind else None


def _obstacles(graph: LayerGraph, calls: Sequence[Call]) -> dict[str, str | None]:
    """Why each call cannot be folded now, None where it can.

    Returns:
        Reasons by site.
    """
    reasons = {call.site: _obstacle(graph, call) for call in calls}
    owners: dict[int, list[Call]] = defaultdict(list)
    for call in graph.calls:
        owners[id(call.layer)].append(call)
    keys: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        keys[call.key].append(call)
    changed = True
    while changed:  # one refusal may bring others with it, through what is shared
        free = [call for call in calls if reasons[call.site] is None]
        found = {call.site: _shared_obstacle(graph, call, reasons, owners, keys) for call in free}
        reasons |= found
        changed = any(found.values())
    return reasons


def _obstacle(graph: LayerGraph, call: Call) -> str | None:
    before = graph.producer(call.inputs[0])
    return _of_normalization(call) or _of_layer(graph, before) or _of_axis(call, before)


def _of_normalization(call: Call) -> str | None:
    if unwrapped(call.layer) is not call.layer:
        return "it stands inside TimeDistributed"
    affine = _affine(call.layer)
    if affine is None:
        name = kind_of(call.layer) or type(call.layer).__name__
        return f"{name} normalization takes its statistics from each input"
    if call.training:
        return "training=True is baked into its call, so it works on the statistics of each batch"
    if not all(np.all(np.isfinite(value)) for value in affine):
        return "its weights or statistics are not finite"
    return None


def _of_layer(graph: LayerGraph, before: Call) -> str | None:
    name, layer = before.site, before.layer
    if not is_linear(unwrapped(layer)):
        return f"no Dense or convolution stands right before it, but {name!r}"
    obstacles = (
        (is_wrapped_linear(layer), f"{name!r} before it stands inside TimeDistributed"),
        (has_fused_activation(layer), f"{name!r} before it has an activation of its own"),
        (
            graph.is_output(before),
            f"the result of {name!r} before it is an output of the model too",
        ),
        (
            len(graph.consumers(before)) > 1,
            f"the result of {name!r} before it is used elsewhere too",
        ),
        (getattr(layer, "quantization_mode", None), f"{name!r} before it is quantized"),
        (getattr(layer, "lora_enabled", False), f"{name!r} before it has LoRA weights, not merged"),
    )
    return next((reason for holds, reason in obstacles if holds), None)


def _of_axis(call: Call, before: Call) -> str | None:
    rank = len(call.inputs[0].shape)
    layer = before.layer
    first = getattr(layer, "data_format", None) == "channels_first"
    channels = 1 if first else rank - 1
    if call.layer.axis % rank != channels or not _has_own_channels(layer):
        return f"it does not normalize the output channels of {before.site!r} before it"
    return None


def _has_own_channels(layer: Any) -> bool:
    # Whether the last output axis of an einsum is one of its kernel alone.
    if not isinstance(layer, keras.layers.EinsumDense):
        return True
    inputs, kernel, outputs = einsum_labels(layer)
    biased = layer.bias_axes is None or outputs[-1] in layer.bias_axes
    return outputs[-1] in kernel and outputs[-1] not in inputs and biased


def einsum_labels(layer: keras.layers.EinsumDense) -> tuple[str, str, str]:
    """Labels of an EinsumDense layer's input, kernel and output.

    Returns:
        For example `("...a", "ab", "...b")`.
    """
    given, result = layer.equation.replace(" ", "").split("->")
    inputs, kernel = given.split(",")
    return inputs, kernel, result


def _shared_obstacle(
    graph: LayerGraph,
    call: Call,
    reasons: dict[str, str | None],
    owners: dict[int, list[Call]],
    keys: dict[str, list[Call]],
) -> str | None:
    def stays(other: Call) -> bool:
        return other.site not in reasons or reasons[other.site] is not None

    if any(map(stays, keys[call.key])):
        return "its model is used several times, and in another use it cannot go"
    before = graph.producer(call.inputs[0])
    for own in owners[id(before.layer)]:
        followers = graph.consumers(own)
        alike = [f for f in followers if f.layer is call.layer and not stays(f)]
        if not alike or len(followers) != 1:
            return f"{before.layer.name!r} before it is shared, and another of its calls differs"
    return None
