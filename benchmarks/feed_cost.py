"""What a feed costs: trials on data that the device holds, and on the same data fed in chunks.

    python benchmarks/feed_cost.py [--rounds 7] [--steps 600] [--samples 40000]

The blog's network with normalization on synthetic images of 28x28x1, batches of 32. The three ways
(held; fed from memory; fed from a file that is mapped) take turns in one process, a trial each;
figures are medians over rounds, ratios those of a round to the held trial of the same round. All
three have to give the same record, bit by bit.
"""

from __future__ import annotations

import argparse
import tempfile
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
    found: dict[str, list[TrialRecord]] = {name: [] for name in ways}
    for turn in range(arguments.rounds + 1):  # the first one compiles
        for name, (inputs, memory) in ways.items():
            record = train(from_arrays(inputs, y), memory)
            assert without_times(record) == without_times(found["held"][0] if turn else record)
            found[name].append(record)
    print(f"{x.nbytes / 2**20:.0f} MiB, {arguments.steps} steps, {arguments.rounds} rounds")
    for name, records in found.items():
        show(name, records[1:], found["held"][1:])


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
    (built,), (spec,) = study._built.values(), study.specs
    speeds = measure_speeds([built.model], [32], {})
    fused = FusedTrainer(built.model, study.objective, speeds=speeds)

    def run(dataset: Any, memory: int) -> TrialRecord:
        with patch(MEMORY, lambda: memory):
            return fused.train(spec, TrialData.of_seed(dataset, 0))

    return run


def without_times(record: TrialRecord) -> TrialRecord:
    """The record but for how long it took."""
    curve = tuple(replace(point, seconds=0.0) for point in record.curve)
    return replace(record, curve=curve, seconds=0.0, step_milliseconds=None)


def show(name: str, records: list[TrialRecord], held: list[TrialRecord]) -> None:
    """Prints a line."""
    for what, seconds in (
        ("training", lambda record: record.curve[0].seconds),
        ("the whole trial", lambda record: record.seconds),
    ):
        ratios = sorted(
            seconds(one) / seconds(other) for one, other in zip(records, held, strict=True)
        )
        print(
            f"{name:12} {what:16} {median(map(seconds, records)):6.2f} s, "
            f"{median(ratios):.3f} times held ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        )


if __name__ == "__main__":
    main()
