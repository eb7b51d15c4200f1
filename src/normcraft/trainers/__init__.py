"""How a trial is trained: `fit` serves every backend."""

from normcraft.trainers.fit import FitTrainer
from normcraft.trainers.objective import Objective, ensure_compiled, find_objective
from normcraft.trainers.trial_data import TrialData

__all__ = ["FitTrainer", "Objective", "TrialData", "ensure_compiled", "find_objective"]
