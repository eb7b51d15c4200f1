"""One variant of the model in a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Arm"]


@dataclass(frozen=True)
class Arm:
    """One variant of the model: what was placed where, and the model that came of it.

    Attributes:
        name: Unique in its study, for example `"after_activation"` or `"after_activation/layer"`.
        placement: Placement expression, for example `"input+before_activation"`.
        kind: Kind of normalization, or None where nothing is inserted.
        activation: Hidden activation that was swapped in, or None for the model's own.
        batch_size: Samples a step.
        config: The model as `keras.saving.serialize_keras_object` describes it, as JSON text.
        parameters: All weights of the model, trainable or not.
        foldable: Whether its normalization can be folded away after training; None where unknown.
        inserted: `(site, kind)` of every insertion.
        skipped: `(site, reason)` of every refused site.
        biases_dropped: Biases made redundant by the insertion and removed.
    """

    name: str
    placement: str
    kind: str | None
    activation: str | None
    batch_size: int
    config: str
    parameters: int
    foldable: Literal["all", "part", "none"] | None
    inserted: tuple[tuple[str, str], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    biases_dropped: int = 0
