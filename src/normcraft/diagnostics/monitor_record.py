"""What a monitor records of normalization during training, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from normcraft.diagnostics.explanation import LayerExplanation

__all__ = ["LayerRecord", "MonitorRecord"]

Channels = tuple[float, ...] | None


@dataclass(frozen=True)
class LayerRecord:
    """One normalization call, or where the model has none one site, at one moment of training.

    Attributes:
        name: Name of the call, or of the site.
        mode: As `LayerExplanation` has it.
        initial_weight: Weight of initial values left in its moving averages.
        moving_mean: Its moving mean; None where it keeps none.
        moving_variance: Its moving variance, likewise.
        mean: Mean of each channel of what it receives, on the probe rows; None without them.
        variance: Their biased variance, likewise.
        lag: How far its moving mean is from the mean on the probe rows, in standard deviations,
            averaged over channels; None without both.
        train_inference_gap: As `LayerExplanation` has it; None without probe rows.
        mean_gap: Likewise.
        quantiles: Of what it receives, at 15%, 50% and 85%; None without probe rows.
    """

    name: str
    mode: str | None
    initial_weight: float | None
    moving_mean: Channels
    moving_variance: Channels
    mean: Channels = None
    variance: Channels = None
    lag: float | None = None
    train_inference_gap: float | None = None
    mean_gap: float | None = None
    quantiles: tuple[float, float, float] | None = None

    @classmethod
    def of(cls, layer: LayerExplanation) -> LayerRecord:
        """The record of an explained layer.

        Returns:
            What a monitor keeps of it.
        """
        received = layer.received
        return cls(
            layer.name,
            layer.mode,
            layer.initial_weight,
            layer.moving_mean,
            layer.moving_variance,
            layer.mean,
            layer.variance,
            _lag(layer),
            layer.train_inference_gap,
            layer.mean_gap,
            None if received is None else received.quantiles[2:5],  # type: ignore[arg-type]
        )


def _lag(layer: LayerExplanation) -> float | None:
    if layer.moving_mean is None:
        return None
    triples = zip(layer.moving_mean, layer.mean, layer.variance, strict=True)
    found = [abs(moving - mean) / variance**0.5 for moving, mean, variance in triples if variance]
    return sum(found) / len(found) if found else None


@dataclass(frozen=True)
class MonitorRecord:
    """All layers at one moment of training.

    Attributes:
        step: Training steps that the optimizer has counted by then.
        epoch: The epoch, from 1.
        seconds: Seconds since training began.
        layers: One for each normalization call, or where there is none for each site.
    """

    step: int
    epoch: int
    seconds: float
    layers: tuple[LayerRecord, ...]
