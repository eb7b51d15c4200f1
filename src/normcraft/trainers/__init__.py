"""How a trial is trained: `fit` serves every backend."""

from normcraft.trainers.fit import FitTrainer
from normcraft.trainers.objective import (
    Objective,
    check_labels,
    ensure_compiled,
    find_objective,
    loss_name,
)
from normcraft.trainers.trial_data import TrialData

__all__ = [
    "FitTrainer",
    "Objective",
    "TrialData",
    "check_labels",
    "ensure_compiled",
    "find_objective",
    "loss_name",
]
