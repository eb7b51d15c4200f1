"""What to look at in an explanation, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from normcraft.diagnostics.explanation import LayerExplanation

__all__ = ["FEW_SAMPLES", "LARGE_GAP", "layer_findings", "model_findings"]

FEW_SAMPLES = 8  # values behind a statistic
LARGE_GAP = 0.3  # of what a layer gives on average: what 32 rows explain is below
LITTLE = 0.01


class _Finding(NamedTuple):
    what: str
    size: float  # the larger, the worse
    sentence: str


def layer_findings(layer: LayerExplanation) -> tuple[str, ...]:
    """What to look at in one layer.

    Args:
        layer: Its explanation.

    Returns:
        Sentences, without the layer's name; none where nothing is remarkable.
    """
    return tuple(finding.sentence for finding in _found(layer))


def model_findings(layers: Sequence[LayerExplanation]) -> tuple[str, ...]:
    """What to look at in the model: of each sort the worst layer, and which others.

    Args:
        layers: Explanations of its layers.

    Returns:
        Sentences with the names of layers.
    """
    sorts: dict[str, list[tuple[float, str, str]]] = {}
    for layer in layers:
        for what, size, sentence in _found(layer):
            sorts.setdefault(what, []).append((size, layer.name, sentence))
    return tuple(_together(found) for found in sorts.values())


def _together(found: list[tuple[float, str, str]]) -> str:
    worst = max(found, key=lambda one: one[0])
    others = [name for _, name, _ in found if name != worst[1]]
    same = len({sentence for _, _, sentence in found}) == 1
    if not others:
        return f"{worst[1]}: {worst[2]}"
    listed = ", ".join(others[:3]) + f" and {len(others) - 3} more" * (len(others) > 3)
    return f"{worst[1]}: {worst[2]} ({'the same' if same else 'less'} in {listed})"


def _found(layer: LayerExplanation) -> Iterator[_Finding]:
    yield from _values(layer)
    if layer.kind is not None:
        yield from _mode(layer)
        yield from _statistics(layer)
        yield from _averages(layer)
        yield from _gap(layer)


def _values(layer: LayerExplanation) -> Iterator[_Finding]:
    received = layer.received
    if received is None:
        yield _Finding("values", math.inf, "it receives no finite value")
    elif received.not_finite:
        number = received.not_finite
        sentence = f"{number} of the values that it receives are NaN or infinite"
        yield _Finding("values", number, sentence)


def _mode(layer: LayerExplanation) -> Iterator[_Finding]:
    if layer.mode == "frozen" and layer.moving_mean is not None:
        sentence = "frozen: it works on its moving statistics in training as well, and they stay"
        yield _Finding("frozen", 0, sentence)
    if layer.mode == "frozen" and layer.moving_mean is None:
        yield _Finding("frozen", 0, "frozen: its scale and shift are not trained")
    if layer.mode == "inference":
        sentence = "training=False is baked into its call: it never works on a batch's statistics"
        yield _Finding("inference", 0, sentence)


def _statistics(layer: LayerExplanation) -> Iterator[_Finding]:
    # Where none are taken from the batch, there is nothing to say about them.
    if layer.moving_mean is not None and layer.mode != "training":
        return
    if layer.effective_samples < FEW_SAMPLES:
        yield _Finding("samples", -layer.effective_samples, _few(layer.effective_samples))
    if layer.epsilon_over_tenth:
        yield _Finding("epsilon", layer.epsilon_share or 0.0, _epsilon(layer))


def _few(number: float) -> str:
    if number == 1:
        return "each statistic rests on 1 value: of what it receives nothing is left"
    return f"each statistic rests on {number:g} values; under {FEW_SAMPLES} they are noise"


def _epsilon(layer: LayerExplanation) -> str:
    share, number = layer.epsilon_over_tenth or 0.0, layer.statistics
    noun = "statistic" if layer.moving_mean is None else "channel"
    which = f"every {noun}" if share == 1 else f"{round(share * number)} of {number} {noun}s"
    worst = layer.epsilon_share or 0.0
    size = f"{worst:.2g} times it in the worst" if math.isfinite(worst) else "some have none at all"
    return f"ε ({layer.epsilon:g}) is a tenth of the variance or more in {which}, {size}"


def _averages(layer: LayerExplanation) -> Iterator[_Finding]:
    weight = layer.initial_weight
    if weight is None or weight <= LITTLE or layer.mode != "training":
        return
    settled = layer.settled_step
    until = "they never go" if settled is None else f"under 1% from step {settled} on"
    sentence = f"{weight:.1%} of its moving averages are still initial values; {until}"
    yield _Finding("averages", weight, sentence)


def _gap(layer: LayerExplanation) -> Iterator[_Finding]:
    gap = layer.mean_gap
    if gap is not None and gap >= LARGE_GAP:
        part = "" if layer.own_gap else ", all of it from layers before"
        size = "beyond all bounds" if math.isinf(gap) else f"by {gap:.0%} on average"
        sentence = f"what it gives in training and at inference differs {size}{part}"
        yield _Finding("gap", gap, sentence)
