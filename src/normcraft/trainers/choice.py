"""Which trainer serves a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras

from normcraft._core.errors import InputError
from normcraft.data import Dataset
from normcraft.records import TrialSpec
from normcraft.trainers.fit import FitTrainer
from normcraft.trainers.objective import Objective
from normcraft.trainers.serves import why_not
from normcraft.trainers.trainer import Trainer, Weights

__all__ = ["TRAINERS", "choose_trainer", "make_trainer"]

TRAINERS = ("auto", "fused", "fit")


def choose_trainer(
    name: str, models: Sequence[keras.Model], dataset: Dataset
) -> tuple[str, str | None]:
    """The trainer of a study: one for all arms, so that their times can be compared.

    Args:
        name: `"auto"`, or the trainer asked for.
        models: The compiled model of each arm.
        dataset: The data.

    Returns:
        `"fused"` or `"fit"`, and why it is not the fused one where that was left open.

    Raises:
        InputError: If the fused trainer is asked for and cannot serve.
    """
    if name == "fit":
        return "fit", None
    reason = why_not(models, dataset)
    if reason is not None and name == "fused":
        raise InputError(
            "the fused trainer cannot train this",
            received=reason,
            hint="leave the trainer to normcraft, or choose fit (--trainer fit)",
        )
    return ("fused", None) if reason is None else ("fit", reason)


def make_trainer(
    spec: TrialSpec,
    model: keras.Model,
    objective: Objective,
    *,
    initial: Weights | None,
    speeds: Mapping[str, Mapping[str, float]],
    together: int = 1,
    strands: int = 1,
) -> Trainer:
    """The trainer of an arm.

    Args:
        spec: One of its trials.
        model: The arm's compiled model.
        objective: The metric that judges.
        initial: Values of the model's variables to begin with; None draws them from the seed.
        speeds: What `measure_speeds` gave.
        together: How many trials the fused trainer trains at once.
        strands: In how many programs side by side.

    Returns:
        A trainer; JAX is imported for the fused one alone.
    """
    if spec.trainer == "fit":
        return FitTrainer(model, objective, initial=initial)
    from normcraft.trainers.fused import FusedTrainer

    return FusedTrainer(
        model,
        objective,
        initial=initial,
        batch_size=spec.batch_size,
        together=together,
        strands=strands,
        speeds=speeds,
    )
