"""Study: arms crossed with learning rates and seeds, run in pairs, continued from a store."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError, unknown_name
from normcraft._core.registry import load
from normcraft.data import Dataset, Stream, take
from normcraft.executors import local
from normcraft.records import Arm, TrialSpec
from normcraft.studies.about import About
from normcraft.studies.arms import baseline_of, build_arms
from normcraft.studies.auto import resolve_auto, variants_of
from normcraft.studies.design import Budget, Grid
from normcraft.studies.digests import model_digest, weights_digest
from normcraft.studies.options import Options
from normcraft.studies.plan import MEASURED
from normcraft.studies.progress import Progress
from normcraft.studies.result import StudyResult
from normcraft.studies.running import Running, file_name, run_grid
from normcraft.studies.store import Store
from normcraft.surgery import kept_variables, place
from normcraft.trainers import (
    Objective,
    check_class_weight,
    check_labels,
    choose_trainer,
    class_weight_text,
    ensure_compiled,
    find_objective,
)
from normcraft.trainers.optimizer import learning_rate_of
from normcraft.trainers.provenance import backend_version

__all__ = ["Study"]

NUMERICS = 6


class Study:
    """A planned comparison: arms crossed with learning rates and seeds.

    Making one builds the arms and shows that the data fit; nothing is trained before `run`.

    Args:
        model: A built Sequential or Functional model; it is never changed.
        dataset: The data, prepared for the model.
        grid: What varies.
        budget: How long.
        options: How it is run and judged.
        model_name: Name of the model in headings; the model's own by default.
        command: How to run it again.
        notes: Remarks to carry along.

    Example:
        >>> from normcraft.data import load_dataset
        >>> from keras import Input, Sequential, layers
        >>> model = Sequential([Input((8, 8, 1)), layers.Flatten(), layers.Dense(10, "softmax")])
        >>> study = Study(model, load_dataset("digits"), budget=Budget(seeds=2, epochs=1))
        >>> len(study.specs)
        6
    """

    def __init__(
        self,
        model: keras.Model,
        dataset: Dataset,
        *,
        grid: Grid | None = None,
        budget: Budget | None = None,
        options: Options | None = None,
        model_name: str | None = None,
        command: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.grid = grid or Grid()
        self.budget = budget or Budget()
        self.options = options or Options()
        self.dataset = dataset
        if dataset.stream is not None:
            _check_stream(dataset.stream, self.budget, self.options)
        copy = place(model, "as_given").model
        ensure_compiled(
            copy,
            dataset.y_train,
            loss=self.options.loss,
            metric=self.options.metric,
            optimizer=self.options.optimizer,
        )
        self.objective = self._objective(copy)
        if self.options.class_weight is not None:
            check_class_weight(self.options.class_weight, copy, dataset)
        is_search = self.budget.limit is not None
        self.grid, varied = resolve_auto(self.grid, copy, variants=is_search)
        self._built = {arm.arm.name: arm for arm in build_arms(copy, self.grid)}
        self.arms = tuple(built.arm for built in self._built.values())
        self.variants = tuple(variants_of(self.arms)) if varied else ()
        # As they are now: a run leaves the models with the weights of some trial.
        kept = self.models if self.options.initial == "keep" else {}
        self.initial = {name: _values(model) for name, model in kept.items()}
        own_rate = learning_rate_of(copy.optimizer)
        rates = self.grid.learning_rates or (own_rate,)
        models = [built.model for built in self._built.values()]
        self.trainer, reason = choose_trainer(self.options.trainer, models, dataset)
        if reason is not None and keras.backend.backend() == "jax":
            notes = (*notes, f"trained by fit, as the fused trainer cannot: {reason}")
        self.specs = tuple(self._specs(rates, copy))
        self.about = self._about(model_name or model.name, command, notes)

    def _objective(self, model: keras.Model) -> Objective:
        for y in (self.dataset.y_train, self.dataset.y_validation, self.dataset.y_test):
            check_labels(model, y)
        few = np.arange(min(8, self.dataset.num_samples))
        x, y = take(self.dataset.x_train, few), take(self.dataset.y_train, few)
        return find_objective(model, x, y, metric=self.options.metric)

    def _about(self, model_name: str, command: str | None, notes: Sequence[str]) -> About:
        names = [arm.name for arm in self.arms]
        baseline = self.options.baseline or baseline_of(self.arms)
        if baseline not in names:
            raise unknown_name("baseline", baseline, names)
        return About(
            model=model_name,
            data=self.dataset.name,
            baseline=baseline,
            metric=self.objective.metric,
            higher_is_better=self.objective.higher_is_better,
            as_fraction=self.objective.as_fraction,
            smallest_effect=self.options.smallest_effect,
            trainer=self.trainer,
            executor=self.options.executor,
            notes=(*self.dataset.notes, *notes, *self._weight_notes(), *_arm_notes(self.arms)),
            command=command,
        )

    def _weight_notes(self) -> Iterator[str]:
        if self.options.class_weight is not None:
            weights = class_weight_text(self.options.class_weight)
            yield f"class weights in the training loss (scores are not weighted): {weights}"

    def _specs(self, rates: Sequence[float], model: keras.Model) -> Iterator[TrialSpec]:
        """All trials, seed by seed: whenever a study is stopped, what is done is in pairs."""
        data = f"{self.dataset.fingerprint}/{'given' if self._split_is_given else 'fifth'}"
        if self.options.class_weight is not None:
            data += f"/class weights {class_weight_text(self.options.class_weight)}"
        initial = self.options.initial
        kept = model.variables if initial == "keep" else kept_variables(model)
        if kept:
            initial = weights_digest(kept)
        models = {arm.name: model_digest(arm) for arm in self.arms}
        plan = self._plan_in_hash
        for seed in self.budget.trial_seeds:
            for arm in self.arms:
                for rate in rates:
                    yield TrialSpec(
                        arm=arm.name,
                        placement=arm.placement,
                        kind=arm.kind,
                        activation=arm.activation,
                        batch_size=arm.batch_size,
                        learning_rate=float(rate),
                        seed=seed,
                        epochs=self.budget.epochs,
                        steps_per_epoch=self.budget.steps_per_epoch,
                        shuffle=self.options.shuffle,
                        model=models[arm.name],
                        initial=initial,
                        data=data,
                        metric=self.objective.metric,
                        trainer=self.trainer,
                        plan=plan,
                        backend=backend_version(),
                        precision=str(keras.config.dtype_policy().name),
                        numerics=NUMERICS,
                    )

    @property
    def _split_is_given(self) -> bool:
        return self.dataset.x_validation is not None

    @property
    def identity(self) -> str:
        """Digest of all trials: the same study has the same on every machine of one backend."""
        text = json.dumps([spec.hash for spec in self.specs])
        if self.budget.limit is not None:
            text += self.budget.limit
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """A file name for the study: model, data and the beginning of its identity."""
        words = f"{self.about.model}-{self.about.data}"
        return f"{file_name(words)[:60]}-{self.identity[:8]}"

    def run(
        self, store: Store, *, progress: Progress | None = None, report: str | None = None
    ) -> StudyResult:
        """Runs the trials that the store does not hold yet, and judges them all.

        Args:
            store: Where records go, and from where a study continues. The best model of each arm
                lies in a folder beside it.
            progress: Who watches.
            report: Path of the report, for the summary.

        Returns:
            The result. After Ctrl-C the running trials finish (after a second one they do not), and
            `KeyboardInterrupt` passes through where trials are left; what was finished stays.
        """
        running = Running(self, store, progress or Progress())
        if self.budget.limit is not None:
            from normcraft.studies.search.run import SearchRun

            return SearchRun(running).run(report)
        return run_grid(running, report)

    @property
    def models(self) -> dict[str, keras.Model]:
        """The compiled model of each arm."""
        return {name: built.model for name, built in self._built.items()}

    @property
    def _plan_in_hash(self) -> str:
        if self.options.executor == "auto":
            return MEASURED if self.trainer == "fused" else local.PLAN
        return str(load("normcraft.executors", self.options.executor, what="executor").PLAN)


def _values(model: keras.Model) -> list[np.ndarray[Any, Any]]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.variables]


def _check_stream(stream: Stream, budget: Budget, options: Options) -> None:
    if options.executor not in {"auto", "local"}:
        raise InputError(
            f"the data source {stream.source.name} is streamed, which only one process can do",
            received=f"executor {options.executor!r}",
            expected="executor 'local', or data that fit in memory as arrays",
            hint="raise Options(memory_limit=...)",
        )
    if stream.source.length in {None, math.inf} and budget.steps_per_epoch is None:
        raise InputError(
            f"the data source {stream.source.name} does not say where it ends",
            received="no length (__len__, tf.data cardinality) and no steps per epoch",
            expected="one of them, as data beyond the memory limit are streamed",
            hint="pass Budget(steps_per_epoch=...)",
        )


def _arm_notes(arms: Sequence[Arm]) -> Iterator[str]:
    for arm in arms:
        if arm.kind is not None and not arm.inserted and arm.placement != "as_given":
            reasons = sorted({reason for _, reason in arm.skipped}) or ["it has no such place"]
            yield f"{arm.name}: nothing was inserted ({'; '.join(reasons)})"
        if "after_output" in arm.placement.split("+"):
            yield f"{arm.name}: outputs behind the final activation are no probabilities any more"
