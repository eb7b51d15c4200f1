"""Runs a search: hands out the trials that are needed, until none is, or the budget has ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from normcraft._core.cores import num_cores
from normcraft.executors import Group
from normcraft.records import TrialRecord, TrialSpec
from normcraft.studies.about import About
from normcraft.studies.interruption import Interruption
from normcraft.studies.plan import Plan, groups_of
from normcraft.studies.progress import News, Progress
from normcraft.studies.search.cell import Candidate, Cell
from normcraft.studies.search.clock import Clock
from normcraft.studies.search.conclude import scores_of, verdict_of
from normcraft.studies.search.controls import draw_random
from normcraft.studies.search.design import (
    SearchDesign,
    exploration_cost,
    explorers_within,
    rung_lengths,
)
from normcraft.studies.search.follow import SearchState, follow
from normcraft.studies.search.limit import Limit
from normcraft.studies.search.pairs import Pairs
from normcraft.studies.search.words import stage_of
from normcraft.studies.store import FINAL, Store
from normcraft.studies.verdict import Metric

if TYPE_CHECKING:
    from normcraft.studies.result import StudyResult
    from normcraft.studies.study import Study

__all__ = ["SearchRun"]


class SearchRun:
    """One run of a search.

    Args:
        study: The study, whose budget has a limit; a friend of this class.
        store: Where records go, and from where a search continues.
        progress: Who watches.
    """

    def __init__(self, study: Study, store: Store, progress: Progress) -> None:
        self._study, self._store, self._progress = study, store, progress
        self._limit = Limit.parse(study.budget.limit or "")
        self._length = study.budget.epochs
        self._templates = {spec.arm: spec for spec in reversed(study.specs)}
        self._rates = tuple(dict.fromkeys(spec.learning_rate for spec in study.specs))
        self._records: dict[Cell, TrialRecord] = {}
        self._handed: set[Cell] = set()
        self._budget = self._limit.epochs(self._length)
        self._told: Any = None
        self._followed: tuple[tuple[int, int], SearchState] | None = None
        self._stopped = False
        self._clock = Clock(None, length=self._length)
        self._about: About = study.about

    def run(self, report: str | None) -> StudyResult:
        """Runs what is needed and not in the store, and judges it.

        Args:
            report: Path of the report, for the summary.

        Returns:
            The result.

        Raises:
            KeyboardInterrupt: After Ctrl-C, where trials are left.
        """
        study = self._study
        self._continue()
        self._look_up(self._wanted())
        done = {self._spec(cell).hash: record for cell, record in self._records.items()}
        self._best = study._best_models(self._store)
        parts = study._parts(self._best.begin(done))
        self._progress.start(
            total=self._likely_trials,
            done=len(done),
            epochs=self._length,
            higher_is_better=study.objective.higher_is_better,
        )
        try:
            plan = study._plan(self._store, parts, self._first_specs())
            self._about, self._plan = study._about_run(plan), plan
            order = [self._templates[arm] for arm in self._first]
            parts = replace(parts, speeds=plan.speeds, together=plan.together, order=order)
            self._clock = self._clock_of(plan)
            with Interruption(self._progress.stopping) as interruption:
                self._run_all(parts, interruption)
        finally:
            self._progress.finish()
        if interruption.asked and self._wanted():
            raise KeyboardInterrupt
        self._stopped = self._clock.is_over
        self._save()
        found = {record.spec.hash: record for record in self._records.values()}
        specs = tuple(self._spec(cell) for cell in self._cells())
        about = self._about_search()
        return study._result(about, found, self._store, self._best, report, specs)

    # What the search consists of

    @property
    def _first(self) -> tuple[str, ...]:
        variants = dict(self._study.variants)
        return tuple(arm for arm in self._templates if arm not in variants)

    def _first_specs(self) -> list[TrialSpec]:
        # As many trials as the budget may hold, for the plan to weigh.
        first = set(self._first)
        every = [spec for spec in self._study.specs if spec.arm in first]
        most = len(every) // 3 if self._budget is None else self._budget // self._length
        return every[: max(len(first) * len(self._rates), most)]

    @property
    def _likely_trials(self) -> int:
        cost = self._design(self._budget or 10**9).most_cost
        return max(1, cost // self._length)

    def _design(self, budget: int) -> SearchDesign:
        study = self._study
        rungs = rung_lengths(self._length)
        cost = exploration_cost(len(self._first), len(study.variants), len(self._rates), rungs)
        opening = 1 if self._limit.unit != "seconds" else self._opening_seeds
        every = tuple(Candidate(arm, rate) for arm in self._templates for rate in self._rates)
        return SearchDesign(
            arms=self._first,
            variants=study.variants,
            baseline=study.about.baseline,
            rates=self._rates,
            seeds=study.budget.trial_seeds,
            length=self._length,
            budget=budget,
            explorers=max(opening, explorers_within(budget, cost)),
            random=draw_random(every, study.identity),
            smallest_effect=study.options.smallest_effect,
            as_fraction=study.objective.as_fraction,
        )

    @property
    def _opening_seeds(self) -> int:
        return 1 if len(self._rates) > 1 else 2  # two trials an arm: the first one compiles

    def _opening(self) -> list[Cell]:
        # The trials by which the pace is measured: the beginning of the first rung.
        design = self._design(10**9)
        seeds = design.exploring_seeds[: self._opening_seeds]
        candidates = design.candidates(design.arms)
        return [one.cell(seed, design.rungs[0]) for seed in seeds for one in candidates]

    def _continue(self) -> None:
        # What time was worth is measured once, and kept: looks at the scores are fixed by it.
        known = (self._store.about(self._study.identity) or {}).get("search")
        if self._budget is None and known and not known["provisional"]:
            self._budget = known["design"]["budget"]

    def _state(self) -> SearchState:
        key = (len(self._records), self._known_budget)
        if self._followed is None or self._followed[0] != key:
            sign = self._study.objective.higher_is_better
            self._scores = scores_of(list(self._records.values()), higher_is_better=sign)
            self._followed = key, follow(self._design(self._known_budget), self._scores)
        return self._followed[1]

    @property
    def _known_budget(self) -> int:
        if self._budget is not None:
            return self._budget
        return sum(cell.epochs for cell in self._records)  # nothing beyond what has run

    def _cells(self) -> Sequence[Cell]:
        opening = self._opening() if self._limit.unit == "seconds" else ()
        return tuple(dict.fromkeys([*opening, *self._state().cells]))

    def _wanted(self) -> list[Cell]:
        if self._budget is None:
            lacking = [cell for cell in self._opening() if cell not in self._records]
            if lacking:
                return lacking
            spent = sum(cell.epochs for cell in self._records)
            self._budget = spent + self._clock.worth
        return list(self._state().wanted)

    def _spec(self, cell: Cell) -> TrialSpec:
        return replace(
            self._templates[cell.arm],
            learning_rate=cell.rate,
            seed=cell.seed,
            epochs=cell.epochs,
        )

    # Running

    def _look_up(self, wanted: list[Cell]) -> None:
        # What the store holds, as far as it leads.
        while wanted:
            specs = {self._spec(cell).hash: cell for cell in wanted}
            found = self._store.records(map(self._spec, wanted))
            final = {specs[key]: one for key, one in found.items() if one.outcome in FINAL}
            for cell, record in final.items():
                self._records[cell] = record
                self._clock.count(record)
            if not final or (self._budget is None and len(final) == len(wanted)):
                return
            wanted = [cell for cell in self._wanted() if cell not in self._handed]

    def _clock_of(self, plan: Plan) -> Clock:
        cores = self._study.options.workers or num_cores()
        seconds = self._limit.amount if self._limit.unit == "seconds" else None
        workers = cores if plan.executor == "processes" else 1
        clock = Clock(seconds, length=self._length, workers=workers)
        for record in self._records.values():
            clock.count(record)
        return clock

    def _run_all(self, parts: Any, interruption: Interruption) -> None:
        options = self._study.options

        def stopping() -> bool:
            return interruption.asked or self._clock.is_over

        groups = self._next_groups()
        while groups and not stopping():
            records = self._study.hand_out(
                self._plan.executor,
                parts,
                groups,
                workers=options.workers,
                trial_timeout=options.trial_timeout,
                on_epoch=self._progress.epoch,
                stopping=stopping,
                more=self._next_groups,
            )
            with closing(records):
                self._take(records)
            groups = self._next_groups()

    def _next_groups(self) -> list[Group]:
        """Trials that are needed now and have not been handed out, by length."""
        self._look_up([cell for cell in self._wanted() if cell not in self._handed])
        new = [cell for cell in self._wanted() if cell not in self._handed]
        self._tell()
        if not new:
            return []
        self._handed.update(new)
        self._save()
        lengths = dict.fromkeys(cell.epochs for cell in new)
        return [
            group
            for length in lengths
            for group in groups_of(
                [self._spec(cell) for cell in new if cell.epochs == length], self._plan.together
            )
        ]

    def _take(self, records: Iterable[TrialRecord]) -> None:
        for record in records:
            self._best.accept(record)
            self._store.add(record)
            spec = record.spec
            cell = Cell(spec.arm, spec.learning_rate, spec.seed, spec.epochs)
            self._records[cell] = record
            self._clock.count(record)
            self._progress.record(record)

    # What is written down and told

    def _about_search(self) -> About:
        design = self._design(self._known_budget)
        search = {
            "budget": self._study.budget.limit,
            "design": design.document(),
            "provisional": self._budget is None,
            "stopped": self._stopped,
        }
        return replace(self._about, search=search)

    def _save(self) -> None:
        study = self._study
        self._store.save_study(
            study.identity,
            arms=study.arms,
            specs=[self._spec(cell) for cell in self._cells()],
            about=self._about_search().document(),
            plan=asdict(self._plan) if study.trainer == "fused" else None,
        )

    def _tell(self) -> None:
        state, design = self._state(), self._design(self._known_budget)
        where = stage_of(design, state)
        if where == self._told:
            return
        self._told = where
        objective = self._study.objective
        metric = Metric(objective.metric, objective.higher_is_better, objective.as_fraction)
        pairs = Pairs(design, self._scores, len(design.seeds))
        verdict = verdict_of(state, pairs, str(self._study.budget.limit), metric)
        self._progress.news(
            News(
                stage=where,
                arms_in=_arms_in(state, design),
                arms=len(self._templates),
                spent=state.spent,
                planned=design.most_cost if self._budget is not None else design.grid_cost // 3,
                verdict=verdict.sentence,
            )
        )


def _arms_in(state: SearchState, design: SearchDesign) -> tuple[str, ...]:
    stage = state.confirmation
    if stage is not None:
        return (design.baseline, *(one.candidate.arm for one in stage.running))
    rungs = [rung for rung in state.rungs if rung.is_full or rung is state.rungs[0]]
    return tuple(dict.fromkeys(one.arm for one in rungs[-1].means))
