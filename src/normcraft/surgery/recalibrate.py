"""Re-estimate the moving statistics of batch normalization as exact population statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft.graph import Call, LayerGraph, layers_inside, unwrapped
from normcraft.kinds import batch
from normcraft.surgery.carry_out import carry_out
from normcraft.surgery.input_batches import InputBatches
from normcraft.surgery.levels import Level, levels
from normcraft.surgery.planning import Plan
from normcraft.surgery.probe import num_rows
from normcraft.surgery.result import EditResult
from normcraft.surgery.running_moments import Moments, RunningMoments
from normcraft.surgery.statistics import StatisticsProbe, keeps_statistics, why_kept

__all__ = ["recalibrate"]

Found = dict[int, tuple[float, Moments]]


def recalibrate(
    model: keras.Model,
    x: Any,
    *,
    batch_size: int | None = None,
    num_batches: int | None = None,
    layerwise: bool = False,
) -> EditResult:
    """A copy of a model whose batch normalization has the statistics of given data.

    Moving averages lag behind: at momentum .99 the initial values weigh 15% after 187 steps, and
    the weights have moved on. This replaces them by the mean and biased variance of what each layer
    receives over all of the data, dropout off, each value weighing the same: batches of n values
    with mean m and variance v are merged as n = Σnᵢ, mean = Σnᵢmᵢ/n, variance = Σnᵢ(vᵢ + (mᵢ −
    mean)²)/n in float64 (Chan, Golub and LeVeque, 1983), in one pass and bounded memory.

    Meanwhile the layers before work on the statistics of each batch, as in training (Wu and
    Johnson, 2021, "Rethinking 'Batch' in BatchNorm", section 3): what comparisons are judged by.
    With `layerwise` they work on their re-estimated statistics, as the model will that is shipped.

    Args:
        model: A built model; it is not changed.
        x: Training inputs: arrays as `Model.predict` takes them, or whatever gives batches of
            inputs, `(x, y)` or `(x, y, weights)`: a `tf.data.Dataset`, a PyTorch `DataLoader`, a
            `keras.utils.PyDataset`, a generator, or a function that makes one. Labels and weights
            are let go.
        batch_size: Most samples in a batch, 256 by default; batches are cut anew, as alike as can
            be. Small batches make the layers before noisier than they will be at inference.
        num_batches: To take only so many of these batches, the first ones in the order of the
            data; None for all.
        layerwise: Whether each layer sees those before it done, which takes a pass over the data
            for each level of such layers, one behind the other.

    Returns:
        The copy, with how many layers were re-estimated, over how many samples, and of each
        normalization that keeps its statistics why it does.

    Raises:
        InputError: If the data cannot be used, are too few, or give a layer infinite values.
        SurgeryError: If the model has no graph.

    Example:
        >>> chain = [keras.Input((1,)), keras.layers.BatchNormalization(name="norm")]
        >>> result = recalibrate(keras.Sequential(chain), np.array([[1.0], [3.0], [5.0]]))
        >>> result.model.get_layer("norm").moving_mean.numpy().tolist(), result.samples
        ([3.0], 3)
    """  # noqa: DOC502 - raised further down
    batches = InputBatches(x, model, batch_size=batch_size, num_batches=num_batches)
    graph = LayerGraph.read(model)
    result, _ = carry_out(model, graph, Plan())
    counted = _Counted(batches)
    estimate = _level_by_level if layerwise else _at_once
    layers = estimate(result.model, counted)
    kept = tuple(_kept(graph))
    return replace(result, layers=layers, samples=counted.samples, kept=kept)


class _Counted:
    """Batches, and how many samples were in the last pass over them."""

    def __init__(self, batches: InputBatches) -> None:
        self.samples = 0
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        self.samples = 0
        for x in self.batches:
            self.samples += num_rows(x)
            yield x


def _at_once(copy: keras.Model, batches: _Counted) -> int:
    probe = StatisticsProbe(copy)
    if probe.layers:
        _assign(probe.layers, _found(probe, batches))
    return probe.num_layers


def _level_by_level(copy: keras.Model, batches: _Counted) -> int:
    graph = LayerGraph.read(copy)
    probe = StatisticsProbe(copy, by_batch=False)
    measured = {id(layer) for layer in probe.layers}
    order = levels(graph, lambda layer: id(layer) in measured)
    if len(order) > 1 and not batches.batches.repeatable:
        raise _no_further_pass(batches.batches.name, len(order))
    for level in order:
        own = _apart(copy, level) if level.feed_each_other else probe
        _assign(level.layers, _found(own, batches))
    return len(measured)


def _apart(copy: keras.Model, level: Level) -> StatisticsProbe:
    # None of them can be done before the others: meanwhile they work on each batch's statistics.
    return StatisticsProbe(copy, only={id(layer) for layer in level.layers})


def _no_further_pass(name: str, passes: int) -> InputError:
    return InputError(
        f"{name} can be passed over only once",
        received="a generator",
        expected=f"data that layerwise re-estimation can pass over {passes} times",
        hint="pass the function that makes the generator, or leave layerwise out",
    )


def _found(probe: StatisticsProbe, batches: Iterable[Any]) -> Found:
    running: RunningMoments = probe.measure(iter(batches))
    moments = zip(running.counts, running.moments, strict=True)
    return {id(layer): found for layer, found in zip(probe.layers, moments, strict=True)}


def _assign(layers: list[Any], found: Found) -> None:
    for layer in layers:
        count, moments = found[id(layer)]
        _check(layer, count, moments)
        batch.set_statistics(layer, *moments)


def _check(layer: Any, count: float, moments: Moments) -> None:
    if count < 2:
        raise InputError(
            f"the data are too few for the normalization {layer.name!r}",
            received=f"{count:.0f} values of a channel" + " that are not masked" * (count == 0),
            expected="2 or more, better some thousand",
        )
    with np.errstate(over="ignore"):
        held = [value.astype(layer.moving_mean.dtype) for value in moments]
    if not np.isfinite(held).all():
        raise InputError(
            f"the data give no statistics for the normalization {layer.name!r}",
            received="values that are infinite, undefined or too large to square",
            expected="finite activations at every layer",
            hint="look for what overflows before that layer, and whether the weights are finite",
        )


def _kept(graph: LayerGraph) -> Iterator[tuple[str, str]]:
    done = {
        id(unwrapped(call.layer))
        for call in graph.calls
        if keeps_statistics(unwrapped(call.layer)) and call.training is not False
    }
    for call in graph.calls:
        layer = unwrapped(call.layer)
        if id(layer) not in done and (reason := _why(call, layer)):
            yield call.site, reason


def _why(call: Call, layer: Any) -> str | None:
    if isinstance(layer, keras.layers.BatchNormalization):
        return why_kept(layer) or "called with training=False"
    inside = layers_inside(call.layer, lambda one: isinstance(one, keras.layers.BatchNormalization))
    name = type(call.layer).__name__
    return f"inside {name}, where surgery does not reach" if inside else None
