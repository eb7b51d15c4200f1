"""What a study gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normcraft.records import Arm, Summary, TrialRecord

__all__ = ["StudyResult"]


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study gave.

    Attributes:
        summary: Verdict and table.
        arms: The arms.
        records: All records, in the order of the plan.
        best_models: Path of the best model of each arm that was finished once, by arm name.
        custom_objects: The user's own classes and functions that those models name.
    """

    summary: Summary
    arms: tuple[Arm, ...]
    records: tuple[TrialRecord, ...]
    best_models: dict[str, Path]
    custom_objects: dict[str, Any]
