"""What each part of a large study costs: the store, the driver, the cluster, the caches.

    python benchmarks/scale.py [--trials 10000] [--workers 2 16] [--only store driver data ray]

One real trial of `digits_cnn` is trained; its record, with other seeds, stands for all others.

- store: records written one by one, as a study writes them, to an empty store and to one that
  holds ten times `--trials`; the study's own document; the records read again, as a rerun does.
- driver: memory of specifications and records, and the processor's time for hashes and the verdict.
- data: what a study puts into the object store, and what its compiled programs take in a cache.
- ray: trials that do nothing, on workers that take a fraction of a core, so that many fit here: the
  time of a trial by the clock, and of the driver on a processor, which is what limits a cluster.

Times are by the clock and, where it says CPU, of this process on a processor, which other programs
disturb less. Memory is what Python has allocated (`tracemalloc`).
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np

from normcraft import recipes
from normcraft.data import load_dataset
from normcraft.executors import Job
from normcraft.executors import ray as on_ray
from normcraft.records import Arm, TrialRecord, TrialSpec
from normcraft.studies import Budget, Grid, Options, Store, Study
from normcraft.studies.best_models import Candidates
from normcraft.studies.hand_out import travelling
from normcraft.studies.running import own_objects, parts_of
from normcraft.studies.summarize import summarize

ARMS = ("none", "before_activation", "after_activation")
RATES = (0.001, 0.003, 0.01)


def main() -> None:
    """Measures what is asked for and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"store": store, "driver": driver, "data": data, "ray": ray}
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 16])
    parser.add_argument("--only", choices=parts, nargs="+", default=list(parts))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="normcraft-scale-") as folder:
        study, record = one_trial(Path(folder))
        arguments.folder, arguments.study, arguments.record = Path(folder), study, record
        for name in arguments.only:
            print(f"\n{name}")
            parts[name](arguments)


def one_trial(folder: Path) -> tuple[Study, TrialRecord]:
    """A study of three arms, and the record of one of its trials.

    Returns:
        Both.
    """
    jax.config.update("jax_compilation_cache_dir", str(folder / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)  # as normcraft sets it
    planned = Study(
        recipes.digits_cnn(),
        load_dataset("digits"),
        grid=Grid(placements=ARMS),
        budget=Budget(seeds=1, epochs=10),
        options=Options(executor="local"),
    )
    with Store(folder / "one.db") as opened:
        found = planned.run(opened).records
    return planned, found[-1]


@dataclass
class Took:
    """Seconds by the clock and on a processor, and bytes that are held afterwards."""

    seconds: float = 0.0
    cpu: float = 0.0
    memory: int = 0


@contextmanager
def timed(*, memory: bool = False) -> Iterator[Took]:
    """Measures what is done inside of it.

    Yields:
        What it took, once it is through.
    """
    took = Took()
    if memory:
        tracemalloc.start()
    started, cpu = time.perf_counter(), time.process_time()
    yield took
    took.seconds, took.cpu = time.perf_counter() - started, time.process_time() - cpu
    if memory:
        took.memory = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()


def specs(record: TrialRecord, number: int, first: int = 0) -> list[TrialSpec]:
    """So many trials, seed by seed.

    Returns:
        Specifications.
    """
    each = len(ARMS) * len(RATES)
    return [
        replace(
            record.spec,
            seed=first + index // each,
            arm=ARMS[index // len(RATES) % len(ARMS)],
            placement=ARMS[index // len(RATES) % len(ARMS)],
            learning_rate=RATES[index % len(RATES)],
        )
        for index in range(number)
    ]


def store(arguments: argparse.Namespace) -> None:
    """Writes and reads records."""
    record, number = arguments.record, arguments.trials
    few = min(number, 1000)
    print(f"  a record is {len(record.to_json()):,} bytes of JSON")
    held = specs(record, 10 * number)
    path = arguments.folder / "large.db"
    for name, filled in (("empty", 0), (f"of {10 * number:,}", 10 * number)):
        with Store(path) as opened:
            fill(opened, record, held[:filled])
            more = specs(record, few, first=10**6 + filled)
            with timed() as took:
                for spec in more:
                    opened.add(replace(record, spec=spec))
            print(
                f"  {few / took.seconds:,.0f} records a second written to a store {name}, "
                f"{1000 * took.cpu / few:.2f} ms CPU each"
            )
    print(f"  {path.stat().st_size / (10 * number + 2 * few):,.0f} bytes a record in the file")
    with Store(path) as opened:
        with timed() as took:
            opened.save_study("it", arms=arguments.study.arms, specs=held, about={})
        print(f"  {took.seconds:.1f} s to write the document of {len(held):,} trials")
        with timed() as took:
            found = opened.records(held)
        print(f"  {took.seconds:.1f} s to read {len(found):,} records again")
    with timed() as took:
        Store(path).close()
    print(f"  {took.seconds:.1f} s to open and check it")


def fill(opened: Store, record: TrialRecord, held: list[TrialSpec]) -> None:
    """Writes records in one transaction, to have them there."""
    rows = ((spec.hash, "finished", replace(record, spec=spec).to_json()) for spec in held)
    with opened._connection as connection:
        connection.executemany("INSERT INTO trial VALUES (?, ?, ?)", rows)


def driver(arguments: argparse.Namespace) -> None:
    """Holds specifications and records, and judges them."""
    record, number = arguments.record, arguments.trials
    with timed(memory=True) as took:
        held = specs(record, number)
    print(f"  {took.memory / 1e6:.1f} MB for {number:,} specifications")
    with timed(memory=True) as took:
        hashes = [spec.hash for spec in held]
    with timed() as plain:
        hashes = [replace(spec).hash for spec in held]
    print(f"  {took.memory / 1e6:.1f} MB, {plain.cpu:.1f} s CPU for their hashes")
    texts = [replace(record, spec=spec).to_json() for spec in held]
    with timed(memory=True) as took:
        records = [TrialRecord.from_json(text) for text in texts]
    print(f"  {took.memory / 1e6:.1f} MB for their records")
    noise = np.random.default_rng(0)
    records = [replace(one, score=float(noise.normal(0.9, 0.01))) for one in records]
    arms: tuple[Arm, ...] = arguments.study.arms
    with timed() as took:
        summarize(
            arms,
            records,
            baseline="none",
            higher_is_better=True,
            smallest_effect=None,
            as_fraction=True,
            metric="accuracy",
        )
    seeds = len({spec.seed for spec in held})
    print(f"  {took.cpu:.1f} s CPU for the verdict over {seeds:,} seeds ({len(hashes):,} trials)")


def data(arguments: argparse.Namespace) -> None:
    """Packs a study for a cluster; its programs lie in the cache by now."""
    planned = arguments.study
    parts = parts_of(planned, Candidates(arguments.folder / "models", 1))
    arrays = [planned.dataset.x_train, planned.dataset.y_train]
    with travelling(parts, on_ray, own_objects(planned)) as worker, timed() as took:
        size = len(pickle.dumps(worker, protocol=5))
    given = sum(array.nbytes for array in arrays if array is not None)
    models = sum(len(model) for model in worker.packed.parts.models.values())
    print(
        f"  {size / 1e6:.2f} MB in the object store: {given / 1e6:.2f} MB of training data, "
        f"{models / 1e6:.2f} MB of {len(planned.arms)} models ({took.seconds:.2f} s to pickle)"
    )
    cache = list((arguments.folder / "programs").iterdir())
    total = sum(file.stat().st_size for file in cache)
    print(
        f"  {total / 1e6:.1f} MB in {len(cache)} files of compiled programs, "
        f"{total / 1e6 / len(planned.arms):.1f} MB an arm"
    )


@dataclass(frozen=True)
class Nothing:
    """Makes a worker whose trials are over at once."""

    record: TrialRecord

    def __call__(self, on_epoch: Callable[..., None]) -> Callable[..., Iterator[list[TrialRecord]]]:
        """Makes it.

        Returns:
            A worker.
        """

        def worker(group: tuple[TrialSpec, ...]) -> Iterator[list[TrialRecord]]:
            for spec in group:
                for epoch in range(spec.epochs):
                    on_epoch(spec, epoch + 1)
                yield [replace(self.record, spec=spec)]

        return worker


def ray(arguments: argparse.Namespace) -> None:
    """Runs trials that do nothing."""
    import ray as module

    warnings.filterwarnings("ignore", "os.fork")  # JAX's, of every child
    folders = [str(Path(__file__).parent), *sys.path]  # where workers find what is defined here
    module.init(
        address="local",
        num_cpus=1,
        object_store_memory=100_000_000,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, folders))}},
    )
    for count in arguments.workers:
        once(arguments, count)
    module.shutdown()


def once(arguments: argparse.Namespace, count: int) -> None:
    """Runs them on so many workers."""
    held = specs(arguments.record, max(1000, 200 * count))
    groups = [tuple(held[start : start + 3]) for start in range(0, len(held), 3)]
    resources = {"CPU": 0.5 / max(arguments.workers)}
    job = Job(Nothing(arguments.record), groups, workers=count, resources=resources)
    records = on_ray.run(job)
    with timed() as start:
        first: list[Any] = list(islice(records, len(held) // 2))  # in which workers still begin
    with timed() as took:
        rest: list[Any] = list(records)
    print(
        f"  {count} workers: {start.seconds:.1f} s for the first {len(first):,} trials; then "
        f"{1000 * took.seconds / len(rest):.1f} ms a trial by the clock, "
        f"{1000 * took.cpu / len(rest):.2f} ms CPU of the driver (10 epochs heard of each)"
    )


if __name__ == "__main__":
    main()
