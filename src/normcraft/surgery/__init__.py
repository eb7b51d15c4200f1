"""Passes: each takes a Keras model and returns an edited copy with the evidence of what it did."""

from normcraft.surgery.differences import compare_outputs
from normcraft.surgery.drawing import Drawing
from normcraft.surgery.equivalence import Difference, Equivalence
from normcraft.surgery.fold import RESTS, fold_batch_normalization, foldable
from normcraft.surgery.insert import insert_normalization
from normcraft.surgery.move import move_normalization
from normcraft.surgery.place import place
from normcraft.surgery.precision import in_float64
from normcraft.surgery.recalibrate import recalibrate
from normcraft.surgery.reinitialize import draw_weights, kept_variables, site_seed
from normcraft.surgery.remove import remove_normalization
from normcraft.surgery.replace import replace_normalization
from normcraft.surgery.result import EditResult
from normcraft.surgery.statistics import StatisticsProbe, keeps_statistics
from normcraft.surgery.swap_activation import swap_activation
from normcraft.surgery.trial_inputs import trial_inputs
from normcraft.surgery.verify import run_model, verify_equivalence

__all__ = [
    "RESTS",
    "Difference",
    "Drawing",
    "EditResult",
    "Equivalence",
    "StatisticsProbe",
    "compare_outputs",
    "draw_weights",
    "fold_batch_normalization",
    "foldable",
    "in_float64",
    "insert_normalization",
    "keeps_statistics",
    "kept_variables",
    "move_normalization",
    "place",
    "recalibrate",
    "remove_normalization",
    "replace_normalization",
    "run_model",
    "site_seed",
    "swap_activation",
    "trial_inputs",
    "verify_equivalence",
]
