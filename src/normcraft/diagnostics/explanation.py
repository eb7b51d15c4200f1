"""What an explanation says, as plain frozen values: of each layer, of the outputs, of a model."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from normcraft.diagnostics.distribution import Distribution
from normcraft.diagnostics.shift_record import Shift

__all__ = ["Explanation", "Findings", "LayerExplanation", "Mode", "OutputGap", "Spread"]

Mode = Literal["training", "inference", "frozen"]
Channels = tuple[float, ...]
Findings = tuple[str, ...]
Spread = tuple[float, float, float]


@dataclass(frozen=True)
class LayerExplanation:
    """The steps of one normalization call, or of a site where one could be.

    Numbers are of the first rows of the data, as the layer sees them in training: normalization
    before it works on the statistics of these rows, dropout is off. Variances are biased.

    Attributes:
        name: Name of the call as `LayerGraph` gives it, or of the site.
        kind: Kind of normalization, for example `"batch"`; None at a site.
        placement: `"before_activation"` or `"after_activation"` at a site; None for normalization.
        mode: `"training"` where it works on the batch in training; `"frozen"` where it is not
            trainable and so works on its moving statistics; `"inference"` where `training=False` is
            baked into its call. None at a site.
        mean: Mean of each channel of what it receives, over rows and positions that no mask hides.
        variance: Their variance.
        inference_mean: The same at inference, where normalization before it works on moving
            statistics.
        inference_variance: Their variance.
        moving_mean: Its moving mean; None where it keeps none.
        moving_variance: Its moving variance, likewise.
        scale: γ of each channel; None where it has none, or not one a channel.
        shift: β, likewise.
        epsilon: ε; None at a site.
        epsilon_share: The largest ε / variance of its statistics; None at a site.
        epsilon_over_tenth: Share of its statistics in which ε is 10% of the variance or more.
        effective_samples: Values behind each statistic (for batch normalization rows × positions,
            without masked ones); at a site those that batch normalization would have.
        statistics: How many statistics these rows give.
        statistic_mean: Lowest, middle and highest mean among them.
        statistic_std: Lowest, middle and highest standard deviation.
        momentum: Momentum of its moving averages; None where it keeps none, and where all batches
            weigh the same.
        initial_weight: Weight that initial values have left in them: momentum^steps; None without
            moving averages, or where nobody knows the steps.
        settled_step: The step from which on that is under 1%.
        train_inference_gap: max|a − b| / max|a| of its outputs in training mode (a) and at
            inference (b), of the whole model run both ways.
        mean_gap: mean|a − b| / mean|a|, likewise.
        own_gap: max|a − b| / max|a| where both modes receive what training mode does: what the
            layer itself contributes. None at a site.
        received: Distribution of what it receives, in training mode.
        normalized: Distribution after (x − mean) / √(variance + ε); at a site as batch
            normalization would do it, with Keras's ε of 0.001. None where it cannot be told.
        scaled: Distribution after γ and β: what it gives in training mode. None at a site.
        at_inference: Distribution of what it gives at inference; None at a site.
        findings: What to look at, in words.
    """

    name: str
    kind: str | None
    placement: str | None
    mode: Mode | None
    mean: Channels
    variance: Channels
    inference_mean: Channels
    inference_variance: Channels
    moving_mean: Channels | None
    moving_variance: Channels | None
    scale: Channels | None
    shift: Channels | None
    epsilon: float | None
    epsilon_share: float | None
    epsilon_over_tenth: float | None
    effective_samples: float
    statistics: int
    statistic_mean: Spread | None
    statistic_std: Spread | None
    momentum: float | None
    initial_weight: float | None
    settled_step: int | None
    train_inference_gap: float | None
    mean_gap: float | None
    own_gap: float | None
    received: Distribution | None
    normalized: Distribution | None
    scaled: Distribution | None
    at_inference: Distribution | None
    findings: Findings = ()


@dataclass(frozen=True)
class OutputGap:
    """How far one output of the model is apart in training mode and at inference.

    Attributes:
        name: Name of the output's layer.
        largest: max|a − b| / max|a|, with a in training mode and b at inference.
        mean: mean|a − b| / mean|a|.
        label_flips: Rows whose largest entry is another one; None for outputs that are no vectors.
    """

    name: str
    largest: float
    mean: float
    label_flips: int | None


@dataclass(frozen=True)
class Explanation:
    """What normalization does in a model on some rows of data.

    Attributes:
        model: Name of the model.
        data: Name of the data.
        rows: How many rows it was run on.
        steps: Training steps so far; None where nobody knows.
        steps_from: Where the number is from, or why there is none.
        layers: One for each normalization call, or where there is none for each site.
        outputs: One for each output of the model.
        findings: What to look at in the model as a whole, in words.
        notes: What was done to the data, and what could not be looked into.
        shift: How the distributions moved in some steps of training, for each layer; empty where no
            training was asked for.
        trained_steps: How many steps that was.
    """

    model: str
    data: str
    rows: int
    steps: int | None
    steps_from: str
    layers: tuple[LayerExplanation, ...]
    outputs: tuple[OutputGap, ...]
    findings: Findings = ()
    notes: tuple[str, ...] = ()
    shift: tuple[Shift, ...] = ()
    trained_steps: int = 0

    def named(self, **changes: Any) -> Explanation:
        """The same explanation with other names or notes.

        Returns:
            A copy.
        """
        return replace(self, **changes)

    def document(self) -> dict[str, Any]:
        """The explanation as the JSON document that `normcraft explain --json` prints.

        Returns:
            Plain values; a number that does not exist or that JSON cannot hold is None.
        """
        document: dict[str, Any] = _plain(asdict(self))
        return document


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
