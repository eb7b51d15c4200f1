"""Trials through one compiled program an arm, on JAX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np

from normcraft._core.keras_private import learning_rate_source
from normcraft.records import TrialSpec
from normcraft.surgery import kept_variables, site_seed
from normcraft.trainers.fused.forms import left_to_library, places
from normcraft.trainers.fused.measures import Measures
from normcraft.trainers.fused.program import Program, State
from normcraft.trainers.fused.program_cache import keep_programs
from normcraft.trainers.fused.rate import Schedule, with_schedule
from normcraft.trainers.fused.speeds import Speeds, fastest
from normcraft.trainers.fused.supply import Supply
from normcraft.trainers.objective import Objective
from normcraft.trainers.optimizer import scaled_schedule
from normcraft.trainers.trainer import Logs, Trainer
from normcraft.trainers.trial_data import TrialData

__all__ = ["FusedTrainer"]

Array = np.ndarray[Any, np.dtype[Any]]


class FusedTrainer(Trainer):
    """Trains by compiled programs of many steps; the device holds the data, or is fed with them.

    Args:
        model: The arm's compiled model; it belongs to the trainer from now on. `why_not` says
            whether it can be served.
        objective: The metric that judges.
        initial: `"reinitialize"` draws weights from the seed; `"keep"` begins with the model's.
        batch_size: Samples a step.
        speeds: How fast each form of its layers is; without, the library's are taken.
    """

    RATE_IS_DATA = True

    def __init__(
        self,
        model: keras.Model,
        objective: Objective,
        *,
        initial: str = "reinitialize",
        batch_size: int = 32,
        speeds: Speeds | None = None,
    ) -> None:
        super().__init__(model, objective, initial=initial)
        keep_programs()
        forms = ((place, fastest(place, speeds or {})) for place in places(model, batch_size))
        self._chosen = [(place.layer, place.attribute, form) for place, form in forms if form]
        self._looped = not left_to_library(model, self._chosen)
        self._measures = Measures(model, self._chosen, looped=self._looped)
        # Arrays that a program was given may not be read again, also where it failed.
        self._undrawn = [(v, np.array(v.value)) for v in kept_variables(model)]
        index = {id(v): number for number, v in enumerate(model.non_trainable_variables)}
        self._streams = [(key, index[id(variable)]) for key, variable in self._generators]
        self._program: Program | None = None
        self._optimizer_of_program: Any = None

    def save(self, path: Path) -> None:
        """Writes the model with the weights of the last trial, as plain compiled Keras.

        Args:
            path: A `.keras` file.
        """
        schedule = learning_rate_source(self.model.optimizer)
        if isinstance(schedule, Schedule) and self._factor != 1:
            schedule = scaled_schedule(schedule, self._factor)
        with with_schedule(self.model.optimizer, schedule):
            super().save(path)

    def _begin(self, spec: TrialSpec, data: TrialData) -> None:
        for variable, value in self._undrawn:
            variable.assign(value)
        super()._begin(spec, data)
        self._supply = Supply(spec, data)
        self._state = State(*([v.value for v in variables] for variables in self._variables()))

    def _variables(self) -> tuple[list[Any], list[Any], list[Any]]:
        model = self.model
        return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables

    def _compiled(self) -> Program:
        # An optimizer whose schedule does not scale was compiled into the model anew.
        if self._program is None or self._optimizer_of_program is not self.model.optimizer:
            self._program = Program(self.model, self._chosen, looped=self._looped)
            self._optimizer_of_program = self.model.optimizer
        return self._program

    def _train_epoch(self, spec: TrialSpec, data: TrialData, epoch: int) -> Logs:
        del data
        for key, number in self._streams:
            seeds = np.array([site_seed(spec.seed, "dropout", key, epoch), 0], "uint32")
            self._state.non_trainable[number] = seeds
        with self._supply.training(epoch) as chunks:
            self._state, logs = self._compiled().train(self._state, self._factor, chunks)
        return _numbers(logs)

    def _put_back(self) -> None:
        for variables, values in zip(self._variables(), self._state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def _evaluate(self, part: str, data: TrialData) -> Logs:
        del data
        with self._supply.judging(part) as chunks:
            return _numbers(self._compiled().evaluate(self._state, chunks))

    def _reestimate(self, spec: TrialSpec, data: TrialData) -> bool:
        del spec, data
        self._put_back()
        with self._supply.inputs() as chunks:
            has_statistics = self._measures.reestimate(chunks)
        if has_statistics:
            self._state = State(*([v.value for v in variables] for variables in self._variables()))
        return has_statistics

    def _activations(self, x: Any) -> dict[str, Array]:
        return self._measures.activations(x)


def _numbers(logs: Any) -> Logs:
    return {name: np.asarray(value) for name, value in jax.device_get(logs).items()}
