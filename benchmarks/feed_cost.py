"""What a feed costs: trials on data that the device holds, and on the same data fed in chunks.

    python benchmarks/feed_cost.py [--rounds 7] [--steps 600] [--samples 40000]

The blog's network with normalization on synthetic images of 28x28x1, batches of 32. The three ways
(held; fed from memory; fed from a file that is mapped) take turns in one process, a trial each;
timed is an epoch of training. Ratios are those to the held trial of the same round, by the clock
and by the time on processors, which other programs disturb less; figures are medians over rounds.
All three have to give the same record, bit by bit.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

from normcraft import recipes
from normcraft.data import from_arrays
from normcraft.records import TrialRecord
from normcraft.studies import Budget, Grid, Options, Study
from normcraft.surgery import place
from normcraft.trainers import TrialData
from normcraft.trainers.fused import FusedTrainer, measure_speeds

MEMORY = "normcraft.trainers.fused.resident.device_memory"
Times = tuple[float, float]  # seconds by the clock and on processors
ARM = "before_activation+output"


def main() -> None:
    """Lets the three take turns and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rounds", 7), ("steps", 600), ("samples", 40_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(arguments, Path(folder))


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """Measures and prints."""
    random = np.random.default_rng(0)
    x = random.random((arguments.samples, 28, 28, 1), "float32")
    y = random.integers(0, 10, arguments.samples)
    np.save(folder / "x.npy", x)
    mapped = np.load(folder / "x.npy", mmap_mode="r")
    ways = {"held": (x, 1 << 50), "fed": (x, 0), "fed, mapped": (mapped, 0)}
    train = trainer(x, y, arguments.steps)
    found: dict[str, list[Times]] = {name: [] for name in ways}
    records: list[TrialRecord] = []
    for turn in range(arguments.rounds + 1):  # the first one compiles
        for name, (inputs, memory) in ways.items():
            record, taken = train(from_arrays(inputs, y), memory)
            records.append(without_times(record))
            assert records[-1] == records[0]
            found[name] += [taken] * bool(turn)
    print(f"{x.nbytes / 2**20:.0f} MiB, {arguments.steps} steps, {arguments.rounds} rounds")
    for name, times in found.items():
        show(name, times, found["held"])


def trainer(x: Any, y: Any, steps: int) -> Any:
    """What runs a trial on a dataset, as if the device had so much memory."""
    model = place(recipes.blog_cnn(), ARM).model
    study = Study(
        model,
        from_arrays(x, y),
        grid=Grid(placements=("as_given",), learning_rates=(0.001,)),
        budget=Budget(seeds=1, epochs=1, steps_per_epoch=steps),
        options=Options(trainer="fused"),
    )
    (model,), (spec,) = study.models.values(), study.specs
    speeds = measure_speeds([model], [32])
    fused = FusedTrainer(model, study.objective, speeds=speeds)

    def run(dataset: Any, memory: int) -> tuple[TrialRecord, Times]:
        times = []

        def timed(*given: Any) -> Any:
            started = time.perf_counter(), time.process_time()
            logs = FusedTrainer._train_epoch(fused, *given)
            times.append((time.perf_counter() - started[0], time.process_time() - started[1]))
            return logs

        with patch(MEMORY, lambda: memory), patch.object(fused, "_train_epoch", timed):
            return fused.train(spec, TrialData.of_seed(dataset, 0)), times[0]

    return run


def without_times(record: TrialRecord) -> TrialRecord:
    """The record but for how long it took."""
    curve = tuple(replace(point, seconds=0.0) for point in record.curve)
    return replace(record, curve=curve, seconds=0.0, step_milliseconds=None)


def show(name: str, times: list[Times], held: list[Times]) -> None:
    """Prints a line."""
    parts = []
    for what, mine, theirs in zip(
        ("clock", "processors"), zip(*times, strict=True), zip(*held, strict=True), strict=True
    ):
        ratios = sorted(one / other for one, other in zip(mine, theirs, strict=True))
        spread = f"{ratios[0]:.3f} to {ratios[-1]:.3f}"
        parts.append(f"{what} {median(mine):.2f} s, {median(ratios):.3f} times held ({spread})")
    print(f"{name:12} {'; '.join(parts)}")


if __name__ == "__main__":
    main()
