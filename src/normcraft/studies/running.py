"""A study being run: what its workers are made of, how they are run, and what they leave."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from normcraft.executors import Group
from normcraft.records import TrialRecord, TrialSpec
from normcraft.studies.about import About
from normcraft.studies.arms import custom_objects
from normcraft.studies.best_models import BestModels, Candidates
from normcraft.studies.conclude import conclude
from normcraft.studies.hand_out import hand_out
from normcraft.studies.interruption import Interruption
from normcraft.studies.plan import Plan, groups_of, make_plan
from normcraft.studies.progress import Progress
from normcraft.studies.result import StudyResult
from normcraft.studies.store import FINAL, Store
from normcraft.studies.worker import MakeWorker

if TYPE_CHECKING:
    from normcraft.studies.study import Study

__all__ = ["Running", "file_name", "own_objects", "parts_of", "run_grid"]


class Running:
    """A study being run.

    Args:
        study: The study.
        store: Where records go, and from where a study continues. The best model of each arm lies
            in a folder beside it.
        progress: Who watches.

    Attributes:
        plan: How the trials are executed; decided by `prepare`.
        about: What the records and the summary say of this run.
    """

    def __init__(self, study: Study, store: Store, progress: Progress) -> None:
        self.study, self.store, self.progress = study, store, progress
        self.plan, self.about = Plan(), study.about
        self._best = _best_models(study, store)

    def begin(self, done: Mapping[str, TrialRecord], *, total: int) -> None:
        """Takes an earlier run into account, and tells who watches.

        Args:
            done: Records that exist, by hash.
            total: Trials in all.
        """
        self._parts = parts_of(self.study, self._best.begin(done))
        self.progress.start(
            total=total,
            done=len(done),
            epochs=self.study.budget.epochs,
            higher_is_better=self.study.objective.higher_is_better,
        )

    def prepare(self, waiting: Sequence[TrialSpec], order: Sequence[TrialSpec]) -> None:
        """Decides the plan: the same for all runs of a store.

        Args:
            waiting: The trials that are to run.
            order: One of each arm, in the order in which arms have their turn.
        """
        self.plan = plan = self._make_plan(waiting)
        notes = self.study.about.notes
        if plan.reason is not None:
            notes = (*notes, f"trials run where they are faster: {plan.reason}")
        self.about = replace(self.study.about, executor=plan.executor, notes=notes)
        self._parts = replace(
            self._parts,
            speeds=plan.speeds,
            together=plan.together,
            strands=plan.strands,
            order=tuple(order),
        )

    def _make_plan(self, waiting: Sequence[TrialSpec]) -> Plan:
        executor = self.study.options.executor
        if known := self.store.plan(waiting):
            # Executors with the same threads go on with each other's trials.
            return Plan(**known) if executor == "auto" else Plan(**{**known, "executor": executor})
        if self.study.trainer != "fused" or not waiting:
            return Plan("local" if executor == "auto" else executor)
        return make_plan(executor, self._parts, waiting, self._run)

    def save(self, specs: Sequence[TrialSpec], about: About) -> None:
        """Writes down what is being run.

        Args:
            specs: All trials.
            about: What the summary will say of them.
        """
        self.store.save_study(
            self.study.identity,
            arms=self.study.arms,
            specs=specs,
            about=about.document(),
            plan=asdict(self.plan) if self.study.trainer == "fused" else None,
        )

    def hand_out(self, groups: Sequence[Group], **how: Any) -> Generator[Any, None, None]:
        """Runs groups of trials as planned.

        Args:
            groups: Trials that share a compiled program.
            **how: More of a `Job`: `stopping`, `more`.

        Returns:
            Their records, as they come.
        """
        options = self.study.options
        return self._run(
            self.plan.executor,
            self._parts,
            groups,
            workers=options.workers,
            trial_timeout=options.trial_timeout,
            on_epoch=self.progress.epoch,
            **how,
        )

    def _run(
        self, executor: str, parts: MakeWorker, groups: Sequence[Group], **how: Any
    ) -> Generator[Any, None, None]:
        own, options = own_objects(self.study), self.study.options
        return hand_out(executor, parts, groups, options=options, own_objects=own, **how)

    def accept(self, record: TrialRecord) -> None:
        """Keeps a record, and the model that its worker left if it is its arm's best.

        Args:
            record: The record.
        """
        self._best.accept(record)
        self.store.add(record)
        self.progress.record(record)

    def result(
        self,
        done: Mapping[str, TrialRecord],
        specs: Sequence[TrialSpec],
        about: About,
        report: str | None,
    ) -> StudyResult:
        """Judges all trials.

        Args:
            done: Records by hash.
            specs: The trials, in the order of the plan.
            about: What the summary says of them.
            report: Path of the report, for the summary.

        Returns:
            The result.
        """
        arms, store = self.study.arms, str(self.store.path)
        records = tuple(done[spec.hash] for spec in specs if spec.hash in done)
        summary = conclude(about, arms, specs, records, store=store, report=report)
        paths = {arm.name: self._best.path(arm.name) for arm in arms}
        models = {name: path for name, path in paths.items() if path.exists()}
        return StudyResult(summary, arms, records, models, own_objects(self.study))


def run_grid(running: Running, report: str | None) -> StudyResult:
    """Runs all trials that the store does not hold, and judges them.

    Args:
        running: The study.
        report: Path of the report, for the summary.

    Returns:
        The result.

    Raises:
        KeyboardInterrupt: After Ctrl-C, where trials are left.
    """
    specs = running.study.specs
    done = running.store.records(specs)
    done = {key: record for key, record in done.items() if record.outcome in FINAL}
    waiting = [spec for spec in specs if spec.hash not in done]
    running.begin(done, total=len(specs))
    try:
        first = {spec.arm: spec for spec in reversed(waiting)}
        running.prepare(waiting, [first[arm] for arm in running.study.models if arm in first])
        running.save(specs, running.about)
        with Interruption(running.progress.stopping) as interruption:
            groups = groups_of(waiting, running.plan.together)
            if groups:
                for record in running.hand_out(groups, stopping=lambda: interruption.asked):
                    running.accept(record)
                    done[record.spec.hash] = record
    finally:
        running.progress.finish()
    if interruption.asked and len(done) < len(specs):
        raise KeyboardInterrupt
    return running.result(done, specs, running.about, report)


def parts_of(study: Study, candidates: Candidates) -> MakeWorker:
    """What the workers of a study are made of.

    Args:
        study: The study.
        candidates: Where models of good trials are left.

    Returns:
        What makes a worker in this process.
    """
    return MakeWorker(
        study.models,
        study.dataset,
        study.objective,
        study.initial,
        candidates,
        class_weight=study.options.class_weight,
    )


def own_objects(study: Study) -> dict[str, Any]:
    """The user's own classes and functions that a study's models name.

    Args:
        study: The study.

    Returns:
        Objects by name.
    """
    models = study.models.values()
    return {name: part for model in models for name, part in custom_objects(model).items()}


def file_name(text: str) -> str:
    """A text with nothing in it that a file's name cannot hold.

    Args:
        text: Any text.

    Returns:
        The text, everything else as underscores.

    Example:
        >>> file_name("input+before_activation, tanh")
        'input_before_activation_tanh'
    """
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text)


def _best_models(study: Study, store: Store) -> BestModels:
    # More seeds or learning rates go on with the same files, and so does the same arm under another
    # label, as its records are found under any; any other study has its own.
    names = {
        spec.arm: f"{_factors(spec)}-{replace(spec, seed=0, learning_rate=0.0).hash[:8]}"
        for spec in study.specs
    }
    return BestModels(
        store.path.with_suffix(".models"),
        names,
        higher_is_better=study.objective.higher_is_better,
        shortest=study.budget.epochs,
    )


def _factors(spec: TrialSpec) -> str:
    return file_name("/".join(filter(None, (spec.placement, spec.kind, spec.activation))))
