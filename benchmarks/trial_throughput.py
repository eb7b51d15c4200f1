"""Trials by the fused trainer against trials by `fit`, plain and tuned, on each backend.

    python benchmarks/trial_throughput.py --mnist mnist.npz --faces fer2013_12k.npz
        [--only R1] [--rounds 5] [--backends jax tensorflow torch] [--json]

Jobs: R4, the blog's network, both arms, 8 seeds x 2 learning rates, 600 steps of 32 each on MNIST;
R1, the multi-layer perceptron on digits, 64 trials of 10 epochs; R6, `emotion_cnn` on FER2013, 4
trials of 100 steps. Each trial validates once an epoch. That is what is compared; what a study adds
to a trial, re-estimated statistics and their validation, is told apart ("judged").

Contestants run in processes of their own and take turns, a trial each, so that what else the
machine does meets them all. Plain `fit` makes a new model for each trial, as a notebook does. Tuned
`fit` compiles each arm once and sets its variables back, at the better of two numbers of steps an
execution. The fused trainer begins with empty caches: its first trial of an arm measures the forms
of layers and compiles. A job's time is that of the first trial of each arm and of the others, each
of these the median over rounds; plain trials are all first ones. Speed-ups are ratios of job times.
The bound is the job's arithmetic at the peak of a matrix product, and its bytes at the speed of a
copy, both measured in between.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

STEPS_PER_EXECUTION = (1, 32)


@dataclass(frozen=True)
class Job:
    """What is trained.

    Attributes:
        recipe: Name of the recipe.
        arms: Placements.
        sizes: Arguments of the recipe.
        trials: Trials of the whole job.
        epochs: Epochs of a trial.
        steps: Steps an epoch; None for all.
        data: Name of the data.
        goals: Speed-up over plain and over tuned `fit` on the fastest backend.
    """

    recipe: str
    arms: tuple[str, ...]
    sizes: dict[str, Any]
    trials: int
    epochs: int
    steps: int | None
    data: str
    goals: tuple[float, float | None]


JOBS = {
    "R4": Job(
        "blog_cnn", ("none", "before_activation+output"), {}, 32, 1, 600, "mnist", (3.5, 2.5)
    ),
    "R1": Job("mlp", ("as_seed",), {"inputs": 64, "classes": 10}, 64, 10, None, "digits", (25, 8)),
    "R6": Job("emotion_cnn", ("as_seed",), {}, 4, 1, 100, "faces", (2, None)),
}
BATCH = 32
Trial = tuple[float, float | None]  # the score, and when validation ended if more came after it


def main() -> None:
    """Serves a contestant, or lets all of them take turns and prints what came of it."""
    arguments = parse()
    if arguments.serve:
        serve(arguments)
        return
    results = {name: compare(name, arguments) for name in arguments.only}
    print(json.dumps(results) if arguments.json else "\n\n".join(map(table, results.values())))


def parse() -> argparse.Namespace:
    """The command line.

    Returns:
        Its arguments.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", help="mnist.npz of keras.datasets")
    parser.add_argument("--faces", help="FER2013 as .npz with x_train and y_train")
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backends", nargs="+", default=["jax", "tensorflow", "torch"])
    parser.add_argument("--serve", nargs=2, metavar=("CONTESTANT", "JOB"), help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


# What runs in the process of a contestant.


def serve(arguments: argparse.Namespace) -> None:
    """Runs a trial for each line that comes in, and answers with its seconds."""
    contestant, name = arguments.serve
    job = JOBS[name]
    # Keras imports TensorFlow on the way if it is there, which is nobody's merit.
    with suppress(ImportError):
        importlib.import_module("tensorflow")
    run = {"plain": plain, "tuned": tuned, "fused": fused, "bound": bound}[contestant](
        job, load(job, arguments)
    )
    print("ready", flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        score, trained = run(*json.loads(line))
        judged = time.perf_counter()
        print(json.dumps([(trained or judged) - started, judged - started, score]), flush=True)


def load(job: Job, arguments: argparse.Namespace) -> Any:
    """The data of a job.

    Returns:
        A dataset with a validation split of its own.
    """
    import keras
    import numpy as np

    from normcraft.data import from_arrays, load_dataset

    if job.data == "digits":
        digits = load_dataset("digits")
        x = digits.x_train.reshape(len(digits.x_train), -1)
        y = keras.utils.to_categorical(digits.y_train, 10)
    else:
        with np.load(getattr(arguments, job.data)) as file:
            x, y = file["x_train"].astype("float32") / 255, file["y_train"].astype("int32")
        x = x.reshape(*x.shape[:3], 1)
    order = np.random.default_rng(0).permutation(len(x))
    part, rest = order[len(x) // 5 :], order[: len(x) // 5]
    return from_arrays(x[part], y[part], validation_data=(x[rest], y[rest]))


def built(job: Job, arm: str) -> Any:
    """A compiled model of an arm.

    Returns:
        A model.
    """
    from normcraft import recipes

    return getattr(recipes, job.recipe)(placement=arm, **job.sizes)


def fit(model: Any, job: Job, data: Any) -> Trial:
    """Trains a model by `fit` as a notebook does.

    Returns:
        Its validation score.
    """
    history = model.fit(
        data.x_train,
        data.y_train,
        batch_size=BATCH,
        epochs=job.epochs,
        steps_per_epoch=job.steps,
        validation_data=(data.x_validation, data.y_validation),
        validation_batch_size=256,
        verbose=0,
    ).history
    return float(history["val_accuracy"][-1]), None


def plain(job: Job, data: Any) -> Callable[[int, int], Trial]:
    """Plain `fit`: a new model for each trial.

    Returns:
        A function of the arm's number and the seed.
    """
    import keras

    def run(arm: int, seed: int) -> Trial:
        keras.utils.set_random_seed(seed)
        return fit(built(job, job.arms[arm]), job, data)

    return run


def tuned(job: Job, data: Any) -> Callable[[int, int], Trial]:
    """Tuned `fit`: each arm is compiled once, its variables are set back.

    Returns:
        A function of the arm's number and the seed.
    """
    import keras
    import numpy as np

    models: dict[int, tuple[Any, list[Any]]] = {}

    def prepare(arm: int, steps: int) -> tuple[Any, list[Any]]:
        model = built(job, job.arms[arm])
        model.steps_per_execution = steps
        model.optimizer.build(model.trainable_variables)
        variables = [*model.variables, *model.optimizer.variables]
        return model, [np.array(keras.ops.convert_to_numpy(v)) for v in variables]

    def trial(model: Any, values: list[Any]) -> Trial:
        variables = [*model.variables, *model.optimizer.variables]
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return fit(model, job, data)

    def run(arm: int, seed: int) -> Trial:
        if arm not in models:
            models[arm] = fastest(arm)
        keras.utils.set_random_seed(seed)
        return trial(*models[arm])

    def fastest(arm: int) -> tuple[Any, list[Any]]:
        # The search is not counted: whoever tunes knows.
        found = {}
        for steps in STEPS_PER_EXECUTION if keras.backend.backend() == "tensorflow" else (1,):
            prepared = prepare(arm, steps)
            trial(*prepared)
            started = time.perf_counter()
            trial(*prepared)
            found[time.perf_counter() - started] = prepared
        return found[min(found)]

    return run


def fused(job: Job, data: Any) -> Callable[[int, int], Trial]:
    """The fused trainer, as a study uses it, with empty caches.

    Returns:
        A function of the arm's number and the seed.
    """
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()
    from normcraft.records import TrialSpec
    from normcraft.trainers import TrialData, find_objective, make_trainer
    from normcraft.trainers.fused import measure_speeds

    trainers: dict[int, Any] = {}

    def run(arm: int, seed: int) -> Trial:
        spec = TrialSpec(
            "arm", job.arms[arm], "batch", None, BATCH, 0.1 if job.recipe == "mlp" else 0.001,
            seed, job.epochs, job.steps, True, "model", "reinitialize", "data", "accuracy",
            "fused", "plan", "jax", "float32", 1,
        )  # fmt: skip
        if arm not in trainers:
            model = built(job, job.arms[arm])
            speeds = measure_speeds([model], [BATCH], {})
            objective = find_objective(model, data.x_train[:8], data.y_train[:8])
            trainers[arm] = make_trainer(
                spec, model, objective, initial="reinitialize", speeds=speeds
            )
        ends: list[float] = []
        record = trainers[arm].train(
            spec,
            TrialData.of_seed(data, seed),
            on_epoch=lambda *_: ends.append(time.perf_counter()),
        )
        return float(record.score), ends[-1]

    return run


def bound(job: Job, data: Any) -> Callable[[int, int], Trial]:
    """What a trial's arithmetic and bytes take at the peaks of this machine.

    Returns:
        A function of the arm's number and the seed that gives seconds of a trial's steps.
    """
    import jax
    import jax.numpy as jnp

    size = 2048
    a, big = jnp.ones((size, size)), jnp.ones(1 << 25)
    product, copy = jax.jit(lambda v: v @ v), jax.jit(lambda v: v + 1)

    def best(function: Any, value: Any) -> float:
        jax.block_until_ready(function(value))
        times = []
        for _ in range(5):
            started = time.perf_counter()
            jax.block_until_ready(function(value))
            times.append(time.perf_counter() - started)
        return min(times)

    def run(arm: int, seed: int) -> Trial:
        del seed
        flops, moved = work(built(job, job.arms[arm]))
        steps = job.epochs * (job.steps or -(-len(data.x_train) // BATCH))
        a_flop, a_byte = best(product, a) / (2 * size**3), best(copy, big) / (8 << 25)
        return steps * BATCH * (flops * a_flop + moved * a_byte), None

    return run


def work(model: Any) -> tuple[float, float]:
    """Floating-point operations and bytes that a step takes for each sample.

    Products of matrices alone count as arithmetic: forward, and backward twice but for the first
    layer's input. Each layer's output is written and read once forward and once backward, and
    normalization passes over it eight times.

    Returns:
        Both.
    """
    import math

    flops = moved = 0.0
    first = True
    for layer in model.layers:
        size = math.prod(n for n in layer.output.shape[1:])
        if hasattr(layer, "kernel"):
            reach = math.prod(layer.kernel.shape[:-1])
            flops += 2 * size * reach * (2 if first else 3)
            first = False
        moved += 4 * size * (8 if "Normalization" in type(layer).__name__ else 4)
    return flops, moved


# What runs in the process that compares.


class Contestant:
    """A process that runs trials when it is told to."""

    def __init__(self, kind: str, backend: str, job: str, arguments: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "--serve", kind, job]
        for name in ("mnist", "faces"):
            if getattr(arguments, name):
                command += [f"--{name}", getattr(arguments, name)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"KERAS_BACKEND": backend},
        )
        self._answer()

    def run(self, arm: int, seed: int) -> tuple[float, float, float]:
        """Runs a trial.

        Returns:
            Seconds of training and validation, of all of it, and what came of it.
        """
        assert self._process.stdin
        self._process.stdin.write(json.dumps([arm, seed]) + "\n")
        self._process.stdin.flush()
        trained, judged, found = json.loads(self._answer())
        return trained, judged, found

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith(("ready", "[")):
                return line
        raise SystemExit("a contestant ended; its message stands above")


def compare(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Lets the contestants of a job take turns.

    Returns:
        What was measured.
    """
    job = JOBS[name]
    kinds = [("fused", "jax"), *contestants(arguments.backends), ("bound", "jax")]
    first: dict[str, list[float]] = {}
    later: dict[str, list[float]] = {}
    scores: dict[str, list[float]] = {}
    open_ones = {f"{kind} {backend}": Contestant(kind, backend, name, arguments)
                 for kind, backend in kinds}  # fmt: skip
    for turn in range(arguments.rounds + 1):
        for label, contestant in open_ones.items():
            for arm in range(len(job.arms)):
                *seconds, found = contestant.run(arm, turn)
                both = (label, "fused, judged")[: 2 if label.startswith("fused") else 1]
                for one, value in zip(both, seconds, strict=False):
                    (later if turn else first).setdefault(one, []).append(value)
                    scores.setdefault(one, []).append(found)
        print(f"{name}: round {turn} of {arguments.rounds}", file=sys.stderr)
    for contestant in open_ones.values():
        contestant.close()
    arms = len(job.arms)
    total = {}
    for label, seconds in later.items():
        if label.startswith("bound"):
            continue
        steady = median(seconds)
        begin = steady if label.startswith("plain") else sum(first[label]) / arms
        total[label] = arms * begin + (job.trials - arms) * steady
    return {
        "job": name,
        "trials": job.trials,
        "first_trial": {label: sum(values) / arms for label, values in first.items()},
        "trial": {label: median(values) for label, values in later.items()},
        "job_seconds": total,
        "bound": median(scores["bound jax"]),
        "score": {label: median(s) for label, s in scores.items() if "bound" not in label},
        "goals": job.goals,
    }


def contestants(backends: list[str]) -> Iterator[tuple[str, str]]:
    """`fit` on each backend, plain and tuned.

    Yields:
        Kind and backend.
    """
    for backend in backends:
        yield "plain", backend
        yield "tuned", backend


def table(result: dict[str, Any]) -> str:
    """A job as lines of Markdown.

    Returns:
        A table.
    """
    ours = result["job_seconds"]["fused jax"]
    lines = [
        f"{result['job']}: {result['trials']} trials",
        "",
        "| | first trial, s | another, s | job, s | fused is faster by | accuracy |",
        "|---|---|---|---|---|---|",
    ]
    for label, total in result["job_seconds"].items():
        lines.append(
            f"| {label} | {result['first_trial'][label]:.2f} | {result['trial'][label]:.3f} | "
            f"{total:.1f} | {total / ours:.2f} | {result['score'][label]:.3f} |"
        )
    for kind, goal in zip(("plain", "tuned"), result["goals"], strict=True):
        totals = [t for label, t in result["job_seconds"].items() if label.startswith(kind)]
        if goal and totals:
            lines.append(f"\nagainst the fastest {kind} fit: {min(totals) / ours:.2f}, goal {goal}")
    of_bound = result["trial"]["fused jax"] / result["bound"]
    lines.append(f"\na trial takes {of_bound:.2f} times what its steps' arithmetic and bytes need")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
