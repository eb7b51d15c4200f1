"""Looking at normalization at work: explain, and the monitor of a user's own training."""

from normcraft.diagnostics.distribution import Distribution
from normcraft.diagnostics.explain import ROWS, explain_model
from normcraft.diagnostics.explanation import Explanation, LayerExplanation, OutputGap
from normcraft.diagnostics.shift import measure_shift
from normcraft.diagnostics.shift_record import Course, Shift
from normcraft.diagnostics.warm_up import check_steps

__all__ = [
    "ROWS",
    "Course",
    "Distribution",
    "Explanation",
    "LayerExplanation",
    "OutputGap",
    "Shift",
    "check_steps",
    "explain_model",
    "measure_shift",
]
