"""Looking at normalization at work: explain, and the monitor of a user's own training."""

from normcraft.diagnostics.counts import check_count
from normcraft.diagnostics.distribution import Distribution
from normcraft.diagnostics.explain import ROWS, explain_model
from normcraft.diagnostics.explanation import Explanation, LayerExplanation, OutputGap
from normcraft.diagnostics.monitor import Monitor
from normcraft.diagnostics.monitor_record import LayerRecord, MonitorRecord
from normcraft.diagnostics.shift import measure_shift
from normcraft.diagnostics.shift_record import Course, Shift

__all__ = [
    "ROWS",
    "Course",
    "Distribution",
    "Explanation",
    "LayerExplanation",
    "LayerRecord",
    "Monitor",
    "MonitorRecord",
    "OutputGap",
    "Shift",
    "check_count",
    "explain_model",
    "measure_shift",
]
