"""Looking at normalization at work: explain, and the monitor of a user's own training."""

from normcraft.diagnostics.distribution import Distribution
from normcraft.diagnostics.explain import ROWS, explain_model
from normcraft.diagnostics.explanation import Explanation, LayerExplanation, OutputGap
from normcraft.diagnostics.shift_record import Course, Shift

__all__ = [
    "ROWS",
    "Course",
    "Distribution",
    "Explanation",
    "LayerExplanation",
    "OutputGap",
    "Shift",
    "explain_model",
]
