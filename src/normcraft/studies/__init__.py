"""The design of experiments: what is varied, in which pairs, how it is stored and what it says."""

from normcraft.studies.conclude import read_study
from normcraft.studies.design import Budget, Grid
from normcraft.studies.options import Options
from normcraft.studies.progress import News, Progress
from normcraft.studies.result import StudyResult
from normcraft.studies.store import Store
from normcraft.studies.study import Study

__all__ = [
    "Budget",
    "Grid",
    "News",
    "Options",
    "Progress",
    "Store",
    "Study",
    "StudyResult",
    "read_study",
]
