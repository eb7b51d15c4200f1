"""How a trial is trained: `fit` serves every backend, `fused` is faster on JAX."""

from normcraft.trainers.choice import TRAINERS, choose_trainer, make_trainer
from normcraft.trainers.class_weight import (
    ClassWeight,
    as_class_weight,
    check_class_weight,
    class_weight_text,
)
from normcraft.trainers.fit import FitTrainer
from normcraft.trainers.objective import (
    Objective,
    check_labels,
    ensure_compiled,
    find_objective,
    loss_name,
)
from normcraft.trainers.trainer import Trainer, Trial, Weights
from normcraft.trainers.trial_data import TrialData

__all__ = [
    "TRAINERS",
    "ClassWeight",
    "FitTrainer",
    "Objective",
    "Trainer",
    "Trial",
    "TrialData",
    "Weights",
    "as_class_weight",
    "check_class_weight",
    "check_labels",
    "choose_trainer",
    "class_weight_text",
    "ensure_compiled",
    "find_objective",
    "loss_name",
    "make_trainer",
]
