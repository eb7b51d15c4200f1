"""Which trials a search consists of, as their records come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from normcraft.records import TrialRecord, TrialSpec
from normcraft.studies.search.cell import Candidate, Cell, Scores
from normcraft.studies.search.conclude import cell_of, scores_of
from normcraft.studies.search.controls import draw_random
from normcraft.studies.search.design import (
    SearchDesign,
    exploration_cost,
    explorers_within,
    rung_lengths,
)
from normcraft.studies.search.follow import SearchState, follow
from normcraft.studies.search.limit import Limit
from normcraft.studies.study import Study

__all__ = ["SearchTrials"]

UNBOUNDED = 10**9  # epochs, where what the time is worth is not known yet


class SearchTrials:
    """The trials of a search: which are needed, given the records that exist.

    With a limit in seconds the budget in epochs is open at first. Until it is fixed, what is needed
    is the beginning of the first rung, by which the pace is measured.

    Args:
        study: The study, whose budget has a limit.

    Attributes:
        budget: Epochs that all trials may take; None while that is open.
        records: The records that exist.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._limit = Limit.parse(study.budget.limit or "")
        self._length = study.budget.epochs
        self._templates = {spec.arm: spec for spec in reversed(study.specs)}
        self._rates = tuple(dict.fromkeys(spec.learning_rate for spec in study.specs))
        self._followed: tuple[tuple[int, int], SearchState, Scores] | None = None
        self.records: dict[Cell, TrialRecord] = {}
        self.budget = self._limit.epochs(self._length)

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that begin: all but variants."""
        variants = dict(self._study.variants)
        return tuple(arm for arm in self._templates if arm not in variants)

    @property
    def seconds(self) -> float | None:
        """The limit in seconds; None for one in trials or epochs."""
        return self._limit.amount if self._limit.unit == "seconds" else None

    @property
    def order(self) -> list[TrialSpec]:
        """A trial of each arm that begins."""
        return [self._templates[arm] for arm in self.arms]

    @property
    def first(self) -> list[TrialSpec]:
        """As many trials as the budget may hold, for the plan to weigh."""
        every = [spec for spec in self._study.specs if spec.arm in set(self.arms)]
        most = len(every) // 3 if self.budget is None else self.budget // self._length
        return every[: max(len(self.arms) * len(self._rates), most)]

    @property
    def openers(self) -> int:
        """Trials of each arm by which the pace is measured."""
        return self._opening_seeds * len(self._rates)

    @property
    def likely(self) -> int:
        """How many trials of full length there may be."""
        return max(1, self._design(self.budget or UNBOUNDED).most_cost // self._length)

    @property
    def wanted(self) -> list[Cell]:
        """Trials that are needed and have no record; none once the pace can be measured."""
        if self.budget is None:
            return [cell for cell in self._opening() if cell not in self.records]
        return list(self.state.wanted)

    @property
    def cells(self) -> Sequence[Cell]:
        """Trials that belong to the search so far, in its order."""
        opening = self._opening() if self.seconds is not None else ()
        return tuple(dict.fromkeys([*opening, *self.state.cells]))

    @property
    def spent(self) -> int:
        """Epochs of all records."""
        return sum(cell.epochs for cell in self.records)

    @property
    def design(self) -> SearchDesign:
        """The design; while the budget is open, with nothing beyond what has run."""
        return self._design(self.spent if self.budget is None else self.budget)

    @property
    def state(self) -> SearchState:
        """Where the search stands."""
        return self._follow()[0]

    @property
    def scores(self) -> Scores:
        """The scores that exist, higher is better."""
        return self._follow()[1]

    def spec(self, cell: Cell) -> TrialSpec:
        """The trial at a cell.

        Args:
            cell: The cell.

        Returns:
            Its specification.
        """
        return replace(
            self._templates[cell.arm],
            learning_rate=cell.rate,
            seed=cell.seed,
            epochs=cell.epochs,
        )

    def add(self, record: TrialRecord) -> None:
        """Takes a record.

        Args:
            record: The record.
        """
        self.records[cell_of(record)] = record

    def _follow(self) -> tuple[SearchState, Scores]:
        design = self.design
        key = (len(self.records), design.budget)
        if self._followed is None or self._followed[0] != key:
            sign = self._study.objective.higher_is_better
            scores = scores_of(list(self.records.values()), higher_is_better=sign)
            self._followed = key, follow(design, scores), scores
        return self._followed[1:]

    def _opening(self) -> list[Cell]:
        # The trials by which the pace is measured: the beginning of the first rung.
        design = self._design(UNBOUNDED)
        seeds = design.exploring_seeds[: self._opening_seeds]
        candidates = design.candidates(design.arms)
        return [one.cell(seed, design.rungs[0]) for seed in seeds for one in candidates]

    @property
    def _opening_seeds(self) -> int:
        return 1 if len(self._rates) > 1 else 2  # two trials an arm: the first one compiles

    def _design(self, budget: int) -> SearchDesign:
        study = self._study
        rungs = rung_lengths(self._length)
        cost = exploration_cost(len(self.arms), len(study.variants), len(self._rates), rungs)
        opening = 1 if self.seconds is None else self._opening_seeds
        every = tuple(Candidate(arm, rate) for arm in self._templates for rate in self._rates)
        return SearchDesign(
            arms=self.arms,
            variants=study.variants,
            baseline=study.about.baseline,
            rates=self._rates,
            seeds=study.budget.trial_seeds,
            length=self._length,
            budget=budget,
            explorers=max(opening, explorers_within(budget, cost, self._length)),
            random=draw_random(every, study.identity),
            smallest_effect=study.options.smallest_effect,
            as_fraction=study.objective.as_fraction,
        )
