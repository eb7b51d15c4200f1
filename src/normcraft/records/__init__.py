"""What a study writes down: specifications, records and verdicts, as plain frozen values.

Everything here is immutable, holds only strings, numbers, tuples and dictionaries, and turns into
JSON and back without loss. No Keras: records are read where no model can be.
"""

from normcraft.records.arm import Arm
from normcraft.records.search import Control, SearchedArm, SearchedRung, SearchSummary
from normcraft.records.summary import ArmSummary, Summary, Verdict, VerdictOutcome
from normcraft.records.trial import Epoch, Outcome, TrialRecord, TrialSpec

__all__ = [
    "Arm",
    "ArmSummary",
    "Control",
    "Epoch",
    "Outcome",
    "SearchSummary",
    "SearchedArm",
    "SearchedRung",
    "Summary",
    "TrialRecord",
    "TrialSpec",
    "Verdict",
    "VerdictOutcome",
]
