"""Runs a search: hands out the trials that are needed, until none is, or the budget has ended."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from math import ceil

from normcraft._core.cores import num_cores
from normcraft.executors import Group
from normcraft.records import TrialRecord, TrialSpec
from normcraft.studies.about import About
from normcraft.studies.interruption import Interruption
from normcraft.studies.plan import groups_of
from normcraft.studies.result import StudyResult
from normcraft.studies.running import Running
from normcraft.studies.search.cell import Cell
from normcraft.studies.search.clock import Clock
from normcraft.studies.search.news import news_of
from normcraft.studies.search.trials import SearchTrials
from normcraft.studies.search.words import stage_of
from normcraft.studies.store import FINAL

__all__ = ["SearchRun"]


class SearchRun:
    """One run of a search.

    Args:
        running: The study, whose budget has a limit.
    """

    def __init__(self, running: Running) -> None:
        self._running, self._study = running, running.study
        self._trials = SearchTrials(self._study)
        self._handed: set[Cell] = set()
        self._told: str | None = None
        self._clock = Clock(None, length=self._study.budget.epochs)

    def run(self, report: str | None) -> StudyResult:
        """Runs what is needed and not in the store, and judges it.

        Args:
            report: Path of the report, for the summary.

        Returns:
            The result.

        Raises:
            KeyboardInterrupt: After Ctrl-C, where trials are left.
        """
        running, trials = self._running, self._trials
        self._continue()
        self._look_up()
        running.begin(self._by_hash(), total=trials.likely)
        try:
            running.prepare(trials.first, trials.order)
            self._clock = self._start_clock()
            with Interruption(running.progress.stopping) as interruption:
                self._run_all(interruption)
        finally:
            running.progress.finish()
        if interruption.asked and (trials.budget is None or trials.wanted):
            raise KeyboardInterrupt
        about, specs = self._about(stopped=self._clock.is_over), self._specs()
        running.save(specs, about)
        return running.result(self._by_hash(), specs, about, report)

    def _continue(self) -> None:
        # What time was worth is measured once, and kept: looks at the scores are fixed by it.
        known = (self._running.store.about(self._study.identity) or {}).get("search")
        if self._trials.budget is None and known and not known["provisional"]:
            self._trials.budget = known["design"]["budget"]

    def _start_clock(self) -> Clock:
        plan, cores = self._running.plan, self._study.options.workers or num_cores()
        known = self._trials.records.values()
        each = min(ceil(plan.together / plan.strands), self._trials.openers)
        clock = Clock(
            self._trials.seconds,
            length=self._study.budget.epochs,
            workers=cores if plan.executor == "processes" else 1,
            together=1 if known else each,  # what is known may have been trained together
        )
        for record in known:
            clock.count(record)
        return clock

    def _wanted(self) -> list[Cell]:
        return [cell for cell in self._trials.wanted if cell not in self._handed]

    def _look_up(self) -> None:
        # What the store holds, as far as it leads.
        while wanted := self._wanted():
            records = self._running.store.records(map(self._trials.spec, wanted)).values()
            found = [record for record in records if record.outcome in FINAL]
            for record in found:
                self._take(record)
            if not found:
                return

    def _fix_budget(self) -> None:
        trials = self._trials
        if trials.budget is None and not trials.wanted:
            trials.budget = trials.spent + self._clock.worth
            self._look_up()

    def _take(self, record: TrialRecord) -> None:
        self._trials.add(record)
        self._clock.count(record)

    def _run_all(self, interruption: Interruption) -> None:
        def stopping() -> bool:
            return interruption.asked or self._clock.is_over

        groups = self._next_groups()
        while groups and not stopping():
            records = self._running.hand_out(groups, stopping=stopping, more=self._next_groups)
            with closing(records):
                for record in records:
                    self._running.accept(record)
                    self._take(record)
            groups = self._next_groups()

    def _next_groups(self) -> list[Group]:
        """Trials that are needed now and have not been handed out, by length."""
        self._look_up()
        self._fix_budget()
        new = self._wanted()
        self._tell()
        if not new:
            return []
        self._handed.update(new)
        specs = [self._trials.spec(cell) for cell in new]
        self._running.save(self._specs(), self._about())
        if self._trials.budget is None:
            return _one_by_one(specs)
        together = self._running.plan.together
        lengths = dict.fromkeys(spec.epochs for spec in specs)
        by_length = ([spec for spec in specs if spec.epochs == length] for length in lengths)
        return [group for some in by_length for group in groups_of(some, together)]

    # What is written down and told

    def _specs(self) -> list[TrialSpec]:
        return [self._trials.spec(cell) for cell in self._trials.cells]

    def _by_hash(self) -> dict[str, TrialRecord]:
        return {record.spec.hash: record for record in self._trials.records.values()}

    def _about(self, *, stopped: bool = False) -> About:
        search = {
            "budget": self._study.budget.limit,
            "design": self._trials.design.document(),
            "provisional": self._trials.budget is None,
            "stopped": stopped,
        }
        return replace(self._running.about, search=search)

    def _tell(self) -> None:
        stage = stage_of(self._trials.design, self._trials.state)
        if stage != self._told:
            self._told = stage
            self._running.progress.news(news_of(self._study, self._trials))


def _one_by_one(specs: list[TrialSpec]) -> list[Group]:
    # Each arm's first trial before any second one, which then compiles nothing and tells the pace.
    return [(spec,) for spec in sorted(specs, key=lambda spec: (spec.seed, spec.learning_rate))]
