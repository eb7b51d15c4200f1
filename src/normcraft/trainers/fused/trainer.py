"""Trials through one compiled program an arm, on JAX."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import jax
import keras
import numpy as np

from normcraft._core.keras_private import learning_rate_source
from normcraft.kinds import batch
from normcraft.records import TrialSpec
from normcraft.surgery import kept_variables, site_seed
from normcraft.trainers.fused.feed import Chunk
from normcraft.trainers.fused.forms import left_to_library, places
from normcraft.trainers.fused.lanes import apart, joined
from normcraft.trainers.fused.measures import Measures
from normcraft.trainers.fused.program import Program, State
from normcraft.trainers.fused.program_cache import are_kept, keep_programs
from normcraft.trainers.fused.rate import Schedule, with_schedule
from normcraft.trainers.fused.speeds import Speeds, fastest
from normcraft.trainers.fused.supply import Supply
from normcraft.trainers.objective import Objective
from normcraft.trainers.optimizer import scaled_schedule
from normcraft.trainers.trainer import ACTIVATION_SAMPLES, Logs, Trainer, Trial, Trials

__all__ = ["FusedTrainer"]

Array = np.ndarray[Any, np.dtype[Any]]


class FusedTrainer(Trainer):
    """Trains by compiled programs that take whole epochs, with the data on the device.

    Args:
        model: The arm's compiled model; it belongs to the trainer from now on. `why_not` says
            whether it can be served.
        objective: The metric that judges.
        initial: `"reinitialize"` draws weights from the seed; `"keep"` begins with the model's.
        batch_size: Samples a step.
        together: How many trials one program trains at once.
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
        together: int = 1,
        speeds: Speeds | None = None,
    ) -> None:
        super().__init__(model, objective, initial=initial)
        keep_programs()
        self.together = together
        forms = (
            (place, fastest(place, speeds or {}, together=together))
            for place in places(model, batch_size)
        )
        self._chosen = [(place.layer, place.attribute, form) for place, form in forms if form]
        self._looped = not left_to_library(model, self._chosen)
        self._measures = Measures(model, self._chosen, looped=self._looped, lanes=together)
        # Arrays that a program was given may not be read again, also where it failed.
        self._undrawn = [(v, np.array(v.value)) for v in kept_variables(model)]
        index = {id(v): number for number, v in enumerate(model.non_trainable_variables)}
        self._streams = [(key, index[id(variable)]) for key, variable in self._generators]
        self._program: Program | None = None
        self._ahead: Thread | None = None
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

    def compile_ahead(self, trial: Trial) -> None:
        """Compiles what trains in a thread of its own, for a trainer that has its turn later.

        Args:
            trial: One of the arm's trials.
        """
        if trial.data.dataset.is_stream or not are_kept():
            return
        chunk = self._begun_with(trial)
        program = self._compiled().lowered(self._state, self._factors, chunk)
        self._ahead = Thread(target=_compile, args=(program,), name="compile ahead")
        self._ahead.start()

    def step_seconds(self, trial: Trial) -> float:
        """How long a step of a trial takes among as many as are trained at once.

        Args:
            trial: A trial; its batches are taken.

        Returns:
            Seconds, compilation left out; infinite where no batch is whole.
        """
        chunk = self._begun_with(trial)
        step = self._compiled().step_seconds(self._state, self._factors, chunk)
        return step / self.together

    def _begun_with(self, trial: Trial) -> Chunk:
        self._begin([trial])
        self._chance(trial.data)  # metrics are built when they are first used
        with self._supply.training(0) as chunks:
            return next(iter(chunks))

    def _begin(self, trials: Trials) -> None:
        if self._ahead is not None:
            self._ahead.join()
            self._ahead = None
        begun = self._full([self._begun(trial.spec) for trial in trials])
        states, factors = zip(*begun, strict=True)
        self._supply = Supply(self._full([*trials]))
        self._state = joined(states)
        self._factors = np.array(factors, "float32")

    def _begun(self, spec: TrialSpec) -> tuple[State, float]:
        for variable, value in self._undrawn:
            variable.assign(value)
        factor = self._set_out(spec)
        return self._present(), factor

    def _present(self) -> State:
        return State(*([np.array(v.value) for v in variables] for variables in self._variables()))

    def _variables(self) -> tuple[list[Any], list[Any], list[Any]]:
        model = self.model
        return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables

    def _compiled(self) -> Program:
        # An optimizer whose schedule does not scale was compiled into the model anew.
        if self._program is None or self._optimizer_of_program is not self.model.optimizer:
            self._program = Program(
                self.model, self._chosen, looped=self._looped, lanes=self.together
            )
            self._optimizer_of_program = self.model.optimizer
        return self._program

    def _train_epoch(self, trials: Trials, epoch: int) -> list[Logs]:
        for key, number in self._streams:
            seeds = [[site_seed(spec.seed, "dropout", key, epoch), 0] for spec, _ in trials]
            self._state.non_trainable[number] = np.array(self._full(seeds), "uint32")
        with self._supply.training(epoch) as chunks:
            self._state, logs = self._compiled().train(self._state, self._factors, chunks)
        return apart(logs, len(trials))

    def _full(self, parts: list[Any]) -> list[Any]:
        # A group that is not full has its last trial several times: nothing is compiled anew.
        return parts + parts[-1:] * (self.together - len(parts))

    def _evaluate(self, part: str, trials: Trials) -> list[Logs]:
        with self._supply.judging(part) as chunks:
            return apart(self._compiled().evaluate(self._state, chunks), len(trials))

    def _reestimate(self, trials: Trials) -> bool:
        del trials
        if not self._measures.layers:
            return False
        states = []
        with self._supply.inputs() as chunks:
            statistics = list(self._measures.statistics(self._values(), chunks))
        for index, found in enumerate(statistics):
            self._bring(index)
            for layer, moments in zip(self._measures.layers, found, strict=True):
                batch.set_statistics(layer, *moments)
            states.append(self._present())
        self._state = joined(states)
        return True

    def _activations(self, trials: Trials) -> list[dict[str, Array]]:
        samples = self._full([data.sample(ACTIVATION_SAMPLES) for _, data in trials])
        return self._measures.activations(self._values(), joined(samples))

    def _values(self) -> dict[int, Any]:
        trainable, non_trainable, _ = self._variables()
        values = [*self._state.trainable, *self._state.non_trainable]
        return {id(v): value for v, value in zip(trainable + non_trainable, values, strict=True)}

    def _bring(self, index: int) -> None:
        self._factor = float(self._factors[index])
        for variables, values in zip(self._variables(), self._state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value[index])


def _compile(program: Any) -> None:
    with suppress(jax.errors.JaxRuntimeError):  # whoever runs it will meet the same
        program.compile()
