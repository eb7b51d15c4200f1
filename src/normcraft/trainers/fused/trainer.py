"""Trials through one compiled program an arm, on JAX."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any

import jax
import keras
import numpy as np

from normcraft._core.cores import num_cores
from normcraft._core.keras_private import learning_rate_source
from normcraft.kinds import batch
from normcraft.surgery import kept_variables, site_seed
from normcraft.trainers.chance import chance_score, constant_predictions
from normcraft.trainers.fused.compiled_scores import CompiledScores
from normcraft.trainers.fused.device import device_memory
from normcraft.trainers.fused.feed import Chunk
from normcraft.trainers.fused.forms import judged, left_to_library, places
from normcraft.trainers.fused.lanes import apart, joined
from normcraft.trainers.fused.measures import Measures
from normcraft.trainers.fused.program import Program, State
from normcraft.trainers.fused.program_cache import keep_programs
from normcraft.trainers.fused.rate import Schedule, with_schedule
from normcraft.trainers.fused.shared import Needed, compile_all
from normcraft.trainers.fused.speeds import Speeds, chosen
from normcraft.trainers.fused.strands import Stopped, side_by_side
from normcraft.trainers.fused.supply import Supply
from normcraft.trainers.objective import Objective
from normcraft.trainers.optimizer import scaled_schedule
from normcraft.trainers.trainer import (
    ACTIVATION_SAMPLES,
    Logs,
    Summaries,
    Trainer,
    Trial,
    Trials,
    Weights,
)
from normcraft.trainers.trial_data import TrialData

__all__ = ["FusedTrainer"]

Array = np.ndarray[Any, np.dtype[Any]]
JUDGING = 4  # times the memory of a step


@dataclass
class Strand:
    """The trials of one program: where they stand, and what they take.

    Attributes:
        trials: The trials, no more than the program has lanes.
        supply: Their data.
        state: Where training stands, of all lanes.
        factors: What a schedule of the learning rate is multiplied by, of all lanes.
    """

    trials: Trials
    supply: Supply
    state: State
    factors: Array


class FusedTrainer(Trainer):
    """Trains by compiled programs that take whole epochs, with the data on the device.

    Args:
        model: The arm's compiled model; it belongs to the trainer from now on. `why_not` says
            whether it can be served.
        objective: The metric that judges.
        initial: Values of the model's variables to begin with; None draws them from the seed.
        batch_size: Samples a step.
        together: How many trials it trains at once.
        strands: In how many programs side by side, a thread each; the others share one program.
        speeds: How fast each form of its layers is; without, the library's are taken.
    """

    RATE_IS_DATA = True

    def __init__(
        self,
        model: keras.Model,
        objective: Objective,
        *,
        initial: Weights | None = None,
        batch_size: int = 32,
        together: int = 1,
        strands: int = 1,
        speeds: Speeds | None = None,
    ) -> None:
        super().__init__(model, objective, initial=initial)
        keep_programs()
        self.together, self.strands = together, strands
        self._lanes = lanes = math.ceil(together / strands)
        found = places(model, batch_size)
        self._chosen = chosen(found, speeds or {}, together=lanes)
        self._judging = chosen(judged(found), speeds or {}, together=lanes)
        self._convolves = left_to_library(model, self._chosen)
        self._measures = Measures(model, self._judging, convolves=self._convolves, lanes=lanes)
        # Arrays that a program was given may not be read again, also where it failed.
        self._undrawn = [(v, np.array(v.value)) for v in kept_variables(model)]
        index = {id(v): number for number, v in enumerate(model.non_trainable_variables)}
        self._streams = [(key, index[id(variable)]) for key, variable in self._generators]
        self._score_of = CompiledScores(model)
        self._program: Program | None = None
        self._ahead: Thread | None = None
        self._optimizer_of_program: Any = None
        # By learning rate the optimizer, what it begins with, and the factor of its schedule.
        self._optimizers: dict[float, tuple[Any, list[Array], float]] = {}

    def _write(self, path: Path) -> None:
        schedule = learning_rate_source(self.model.optimizer)
        if isinstance(schedule, Schedule) and self._factor != 1:
            schedule = scaled_schedule(schedule, self._factor)
        with with_schedule(self.model.optimizer, schedule):
            super()._write(path)

    def regroup(self, together: int, strands: int) -> bool:
        """Lets it train as many trials a program in another number of programs.

        Args:
            together: How many trials it is to train at once.
            strands: In how many programs side by side.

        Returns:
            Whether it does.
        """
        if math.ceil(together / strands) != self._lanes:
            return False
        self.together, self.strands = together, strands
        return True

    def compile_ahead(self, trial: Trial) -> None:
        """Compiles in a thread of its own what is not compiled yet.

        Args:
            trial: One of the arm's trials.
        """
        if self._ahead is not None or self._optimizer_of_program is self.model.optimizer:
            return
        strand = self._strand([trial])
        if strand.supply.is_held:
            self._ahead = Thread(target=self._try_to_compile, args=(strand,), name="compile ahead")
            self._ahead.start()

    def _try_to_compile(self, strand: Strand) -> None:
        with suppress(Exception):  # whoever begins will meet the same
            self._compile(strand)

    def _compile(self, strand: Strand) -> None:
        constant = constant_predictions(self.model, strand.trials[0].data)
        scores = self._score_of.build(constant.labels, constant.predictions)
        if strand.supply.is_held:
            compile_all([*self._needed(strand), scores])

    def _needed(self, strand: Strand) -> Iterator[Needed]:
        program, supply = self._compiled(), strand.supply
        yield from self._needed_to_train(strand)
        for part in strand.trials[0].data.judging_parts:
            with supply.judging(part) as (chunk,):
                yield from program.needed_to_evaluate(strand.state, chunk)
        with supply.inputs() as (chunk,):
            yield from self._measures.needed(self._values(strand), chunk, self._samples(strand))

    def _needed_to_train(self, strand: Strand) -> list[Needed]:
        chunk = _first_chunk(strand)
        return self._compiled().needed_to_train(strand.state, strand.factors, chunk)

    def step_seconds(self, trial: Trial, strands: int = 1) -> float:
        """How long a step of a trial takes.

        Args:
            trial: A trial; its batches are taken.
            strands: Programs that run side by side.

        Returns:
            Seconds for each of the trials that run then, compilation left out; infinite where no
            batch is whole.
        """
        self._begin([trial])
        (strand,) = self._strands
        program, chunk = self._compiled(), _first_chunk(strand)

        def seconds(state: State, _: Stopped) -> float:
            return program.step_seconds(state, strand.factors, chunk)

        copies = [jax.tree.map(np.copy, strand.state) for _ in range(strands)]
        return max(side_by_side(seconds, copies)) / (strands * self._lanes)

    def most_strands(self, trial: Trial) -> int:
        """How many programs half of the device's memory holds side by side.

        Args:
            trial: A trial; its batches are taken.

        Returns:
            1 or more. Judging takes larger batches than training, and several times its memory.
        """
        self._begin([trial])
        (strand,) = self._strands
        found = self._needed_to_train(strand)[0].compile().memory_analysis()
        if found is None:
            return 1
        each = JUDGING * (found.temp_size_in_bytes + found.output_size_in_bytes)
        return max(1, device_memory() // 2 // max(1, int(each)))

    def _begin(self, trials: Trials) -> None:
        if not self._optimizer.rate_is_data:
            self._join()  # the optimizer that it compiles may be another one soon
        self._strands = [
            self._strand(trials[start : start + self._lanes])
            for start in range(0, len(trials), self._lanes)
        ]
        self._join()
        if self._optimizer_of_program is not self.model.optimizer:
            self._compile(self._strands[0])

    def _join(self) -> None:
        if self._ahead is not None:
            self._ahead.join()
            self._ahead = None

    def _strand(self, trials: Trials) -> Strand:
        for variable, value in self._undrawn:
            variable.assign(value)
        seeds = dict.fromkeys(trial.spec.seed for trial in trials)
        weights = {seed: self._initial_weights(seed) for seed in seeds}
        begun = [self._begun(spec.learning_rate, weights[spec.seed]) for spec, _ in trials]
        states, factors = zip(*self._full(begun), strict=True)
        supply = Supply(self._full([*trials]))
        return Strand(trials, supply, joined(states), np.array(factors, "float32"))

    def _begun(self, rate: float, weights: Weights) -> tuple[State, float]:
        # Not by way of the model's variables, which the device holds.
        of = dict(zip(map(id, self.model.variables), weights, strict=True))
        trainable, non_trainable = ([of[id(v)] for v in some] for some in self._variables()[:2])
        optimizer, factor = self._optimizer_begun(rate)
        for number, copied in self._optimizer.copies.items():
            optimizer[number] = trainable[copied]
        return State(trainable, non_trainable, optimizer), factor

    def _optimizer_begun(self, rate: float) -> tuple[list[Array], float]:
        begun = self._optimizers.get(rate)
        if begun is None or begun[0] is not self.model.optimizer:
            factor = self._optimizer.reset(rate)
            values = [np.array(v.value) for v in self.model.optimizer.variables]
            begun = self._optimizers[rate] = self.model.optimizer, values, factor
        return [*begun[1]], begun[2]

    def _variables(self) -> tuple[list[Any], list[Any], list[Any]]:
        model = self.model
        return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables

    def _compiled(self) -> Program:
        # An optimizer whose schedule does not scale was compiled into the model anew.
        if self._program is None or self._optimizer_of_program is not self.model.optimizer:
            self._program = Program(
                self.model,
                self._chosen,
                judging=self._judging,
                convolves=self._convolves,
                lanes=self._lanes,
            )
            self._optimizer_of_program = self.model.optimizer
        return self._program

    def _train_epoch(self, trials: Trials, epoch: int) -> list[Logs]:
        del trials
        program = self._compiled()

        def train(strand: Strand, stopped: Stopped) -> list[Logs]:
            for key, number in self._streams:
                seeds = [
                    [site_seed(spec.seed, "dropout", key, epoch), 0] for spec, _ in strand.trials
                ]
                strand.state.non_trainable[number] = np.array(self._full(seeds), "uint32")
            with strand.supply.training(epoch) as chunks:
                strand.state, logs = program.train(strand.state, strand.factors, chunks, stopped)
            return apart(logs, len(strand.trials))

        return self._of_all(train)

    def _of_all(self, function: Callable[[Strand, Stopped], list[Any]]) -> list[Any]:
        return list(chain.from_iterable(side_by_side(function, self._strands)))

    def _full(self, parts: list[Any]) -> list[Any]:
        # A program that is not full has its last trial several times: nothing is compiled anew.
        return parts + parts[-1:] * (self._lanes - len(parts))

    def _evaluate(self, part: str, trials: Trials) -> list[Logs]:
        del trials
        program = self._compiled()

        def evaluate(strand: Strand, stopped: Stopped) -> list[Logs]:
            with strand.supply.judging(part) as chunks:
                logs = program.evaluate(strand.state, chunks, stopped)
            return apart(logs, len(strand.trials))

        return self._of_all(evaluate)

    def _complete(self, trials: Trials) -> bool:
        del trials
        if not self._measures.layers:
            return False

        at_once = max(1, num_cores() // len(self._strands))

        def statistics(strand: Strand, stopped: Stopped) -> list[Any]:
            del stopped
            values = self._values(strand)
            with strand.supply.inputs() as chunks:
                return list(self._measures.statistics(values, chunks, at_once=at_once))

        found = side_by_side(statistics, self._strands)
        for strand, of_lanes in zip(self._strands, found, strict=True):
            self._set_statistics(strand, of_lanes)
        return True

    def _set_statistics(self, strand: Strand, of_lanes: list[list[Any]]) -> None:
        # Not by way of the model's variables, which the device holds.
        held = strand.state.non_trainable
        number_of = {id(v): number for number, v in enumerate(self.model.non_trainable_variables)}
        for layer, moments in zip(self._measures.layers, zip(*of_lanes, strict=True), strict=True):
            means, variances = map(np.stack, zip(*moments, strict=True))
            for variable, values in batch.moving_statistics(layer, means, variances):
                number = number_of[id(variable)]
                held[number] = values.astype(held[number].dtype)

    def _activations(self, trials: Trials) -> list[Summaries]:
        del trials
        found: list[Summaries] = []
        for strand in self._strands:
            every = self._measures.activations(self._values(strand), self._samples(strand))
            found += every[: len(strand.trials)]
        return found

    def _samples(self, strand: Strand) -> Any:
        samples = [data.sample(ACTIVATION_SAMPLES) for _, data in strand.trials]
        return joined(self._full(samples))

    def _chance_score(self, data: TrialData) -> float | None:
        return chance_score(self.model, data, self._objective.metric, score=self._score_of)

    def _values(self, strand: Strand) -> dict[int, Any]:
        trainable, non_trainable, _ = self._variables()
        values = [*strand.state.trainable, *strand.state.non_trainable]
        return {id(v): value for v, value in zip(trainable + non_trainable, values, strict=True)}

    def _bring(self, index: int) -> None:
        number, lane = divmod(index, self._lanes)
        self._bring_lane(self._strands[number], lane)

    def _bring_lane(self, strand: Strand, lane: int) -> None:
        self._factor = float(strand.factors[lane])
        for variables, values in zip(self._variables(), strand.state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(np.asarray(value)[lane])


def _first_chunk(strand: Strand) -> Chunk:
    with strand.supply.training(0) as chunks:
        return next(iter(chunks))
