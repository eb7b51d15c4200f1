"""Jobs of trials by normcraft against `fit`, plain and tuned, on each backend.

    python benchmarks/trial_throughput.py --mnist mnist.npz --faces fer2013_12k.npz
        [--only R1] [--rounds 5] [--backends jax tensorflow torch] [--json]

Jobs: R4, the blog's network, both arms, 8 seeds x 2 learning rates, 600 steps of 32 each on MNIST;
R1, the multi-layer perceptron on digits, 64 trials of 10 epochs; R6, `emotion_cnn` on FER2013, 4
trials of 100 steps; cold, a single trial of R4's normalized arm. Each validates once an epoch.
On a GPU, where it is asked for: 64 trials of R4, 16 seeds x 2 learning rates.
Slope: normcraft alone, R1's job with 1 to 64 trials; what a further trial takes, and its training.

`fit` runs in processes of its own, which take turns, a trial each. Plain `fit` makes a new model
for each trial, as a notebook does. Tuned `fit` compiles each arm once and sets its variables back,
at the better of two numbers of steps an execution. After each turn normcraft runs the whole job as
a study in a fresh process with empty caches: it measures forms of layers and plans, compiles,
trains, and judges each trial with statistics re-estimated over as many samples as it saw, which
`fit` does not do.

A job's time by `fit` is that of the first trial of each arm and of the others, medians over rounds;
plain trials are all first ones. Speed-ups are ratios to the median of normcraft's jobs. The bound
is the arithmetic of a step at the peak of a matrix product, and its bytes at the speed of a copy,
both measured in between.
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
from dataclasses import dataclass, replace
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
        rates: Learning rates; None for the recipe's own.
    """

    recipe: str
    arms: tuple[str, ...]
    sizes: dict[str, Any]
    trials: int
    epochs: int
    steps: int | None
    data: str
    goals: tuple[float, float | None]
    rates: tuple[float, ...] | None = None


BLOG_ARMS = ("none", "before_activation+output")
JOBS = {
    "R4": Job("blog_cnn", BLOG_ARMS, {}, 32, 1, 600, "mnist", (3.5, 2.5), (0.001, 0.01)),
    "R1": Job("mlp", ("as_seed",), {"inputs": 64, "classes": 10}, 64, 10, None, "digits", (25, 8)),
    "R6": Job("emotion_cnn", ("as_seed",), {}, 4, 1, 100, "faces", (2, None)),
    "cold": Job("blog_cnn", BLOG_ARMS[1:], {}, 1, 1, 600, "mnist", (1, None)),
    "GPU": Job("blog_cnn", BLOG_ARMS, {}, 64, 1, 600, "mnist", (30, None), (0.001, 0.01)),
}
BATCH = 32
SLOPE = "slope"
USUAL = [*(name for name in JOBS if name != "GPU"), SLOPE]
NUMBERS = (1, 2, 4, 8, 16, 32, 64)  # of trials


def main() -> None:
    """Serves a contestant, or lets all of them take turns and prints what came of it."""
    arguments = parse()
    if arguments.serve:
        serve(arguments)
        return
    results, texts = {}, []
    for name in arguments.only:
        measure, write = (slope, slope_table) if name == SLOPE else (compare, table)
        results[name] = measure(name, arguments)
        texts.append(write(results[name]))
    print(json.dumps(results) if arguments.json else "\n\n".join(texts))


def parse() -> argparse.Namespace:
    """The command line.

    Returns:
        Its arguments.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", help="mnist.npz of keras.datasets")
    parser.add_argument("--faces", help="FER2013 as .npz with x_train and y_train")
    parser.add_argument("--only", nargs="+", choices=[*JOBS, SLOPE], default=USUAL)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backends", nargs="+", default=["jax", "tensorflow", "torch"])
    parser.add_argument("--serve", nargs=2, metavar=("CONTESTANT", "JOB"), help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


# What runs in the process of a contestant.


def serve(arguments: argparse.Namespace) -> None:
    """Runs a trial for each line that comes in, and answers with its seconds; or a whole study."""
    contestant, name = arguments.serve
    name, _, number = name.partition("*")
    job = replace(JOBS[name], trials=int(number)) if number else JOBS[name]
    # Keras imports TensorFlow on the way if it is there, which is nobody's merit.
    with suppress(ImportError):
        importlib.import_module("tensorflow")
    data = load(job, arguments)
    if contestant == "study":
        print(json.dumps([study(job, data)]), flush=True)
        return
    run = {"plain": plain, "tuned": tuned, "bound": bound}[contestant](job, data)
    print("ready", flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        score = run(*json.loads(line))
        print(json.dumps([time.perf_counter() - started, score, memory()]), flush=True)


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


def fit(model: Any, job: Job, data: Any) -> float:
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
    return float(history["val_accuracy"][-1])


def plain(job: Job, data: Any) -> Callable[[int, int], float]:
    """Plain `fit`: a new model for each trial.

    Returns:
        A function of the arm's number and the seed.
    """
    import keras

    def run(arm: int, seed: int) -> float:
        keras.utils.set_random_seed(seed)
        return fit(built(job, job.arms[arm]), job, data)

    return run


def tuned(job: Job, data: Any) -> Callable[[int, int], float]:
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

    def trial(model: Any, values: list[Any]) -> float:
        variables = [*model.variables, *model.optimizer.variables]
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return fit(model, job, data)

    def seconds(arm: int, steps: int) -> float:
        prepared = prepare(arm, steps)
        trial(*prepared)
        started = time.perf_counter()
        trial(*prepared)
        return time.perf_counter() - started

    def fastest(arm: int) -> int:
        if keras.backend.backend() != "tensorflow":
            return 1
        return min(STEPS_PER_EXECUTION, key=lambda steps: seconds(arm, steps))

    # Before any turn, so that the search is not counted: whoever tunes knows.
    steps_of = [fastest(arm) for arm in range(len(job.arms))]

    def run(arm: int, seed: int) -> float:
        if arm not in models:
            models[arm] = prepare(arm, steps_of[arm])
        keras.utils.set_random_seed(seed)
        return trial(*models[arm])

    return run


def study(job: Job, data: Any) -> dict[str, Any]:
    """The whole job as a study, from its plan to its table, with empty caches.

    Returns:
        Its seconds, of a trial of each arm the mean seconds and the share that is training and the
        milliseconds of a step, scores, plan and peak memory of a process.
    """
    from pathlib import Path

    from normcraft._core.cores import num_cores
    from normcraft.studies import Budget, Grid, Options, Store, Study

    folder = Path(tempfile.mkdtemp())
    os.environ["XDG_CACHE_HOME"] = str(folder)
    planned = Study(
        built(job, job.arms[0]),
        data,
        grid=Grid(
            placements=tuple("as_given" if arm == "as_seed" else arm for arm in job.arms),
            learning_rates=job.rates,
        ),
        budget=Budget(job.trials // len(job.arms) // len(job.rates or (0,)), job.epochs, job.steps),
        options=Options(trainer="fused"),
    )
    started = time.perf_counter()
    with Store(folder / "job.db") as store:
        records = planned.run(store).records
        plan = store.plan(planned.specs)
    seconds = time.perf_counter() - started
    cores = num_cores() if plan["executor"] == "processes" else 1
    arms = [[one for one in records if one.spec.arm == arm.name] for arm in planned.arms]
    return {
        "seconds": seconds,
        "trial": [sum(one.seconds for one in arm) / len(arm) / cores for arm in arms],
        "training": [
            sum(point.seconds for one in arm for point in one.curve)
            / sum(one.seconds for one in arm)
            for arm in arms
        ],
        "step": [median(one.step_milliseconds for one in arm) / cores for arm in arms],
        "score": [median(one.score_as_trained for one in arm) for arm in arms],
        "plan": "{executor}, {together} at once in {strands} programs".format(**plan),
        "memory": memory(),
    }


def memory() -> int:
    """The most memory that this process or one of its children has taken.

    Returns:
        Bytes.
    """
    import resource

    both = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return 1024 * max(resource.getrusage(who).ru_maxrss for who in both)


def bound(job: Job, data: Any) -> Callable[[int, int], float]:
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

    def run(arm: int, seed: int) -> float:
        del seed
        flops, moved = work(built(job, job.arms[arm]))
        steps = job.epochs * (job.steps or -(-len(data.x_train) // BATCH))
        a_flop, a_byte = best(product, a) / (2 * size**3), best(copy, big) / (8 << 25)
        return steps * BATCH * (flops * a_flop + moved * a_byte)

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
            # On a GPU all of them share its memory.
            env=os.environ | {"KERAS_BACKEND": backend, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
        )

    def run(self, arm: int, seed: int) -> list[float]:
        """Runs a trial.

        Returns:
            Seconds, what came of it, and peak memory.
        """
        assert self._process.stdin
        self._process.stdin.write(json.dumps([arm, seed]) + "\n")
        self._process.stdin.flush()
        found: list[float] = self.answer()
        return found

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def answer(self) -> Any:
        """The next answer.

        Returns:
            What it holds; None for the word that the process is ready.
        """
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("["):
                return json.loads(line)
            if line.startswith("ready"):
                return None
        raise SystemExit("a contestant ended; its message stands above")


def compare(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Lets the contestants of a job take turns.

    Returns:
        What was measured.
    """
    job = JOBS[name]
    kinds = [*contestants(arguments.backends, job), ("bound", "jax")]
    crew = {f"{kind} {backend}": Contestant(kind, backend, name, arguments)
            for kind, backend in kinds}  # fmt: skip
    for contestant in crew.values():
        contestant.answer()
    answers: dict[str, list[list[list[float]]]] = {label: [] for label in crew}
    studies = []
    for turn in range(arguments.rounds + 1):
        for label, contestant in crew.items():
            answers[label].append([contestant.run(arm, turn) for arm in range(len(job.arms))])
        if turn:
            studies.append(one_study(name, arguments))
        print(f"{name}: round {turn} of {arguments.rounds}", file=sys.stderr)
    for contestant in crew.values():
        contestant.close()
    bound = answers.pop("bound jax")
    return {
        "job": name,
        "trials": job.trials,
        "goals": job.goals,
        "studies": studies,
        "fit": {label: summary(label, turns, job) for label, turns in answers.items()},
        "bound": [
            median(arm) for arm in zip(*([a[1] for a in turn] for turn in bound), strict=True)
        ],
    }


def one_study(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs a job by normcraft in a process of its own.

    Returns:
        What `study` gives.
    """
    ours = Contestant("study", "jax", name, arguments)
    found: dict[str, Any] = ours.answer()[0]
    ours.close()
    return found


def slope(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """R1's job with different numbers of trials, in turns.

    Returns:
        By number of trials the studies.
    """
    studies: dict[int, list[dict[str, Any]]] = {number: [] for number in NUMBERS}
    for turn in range(arguments.rounds):
        for number in NUMBERS:
            studies[number].append(one_study(f"R1*{number}", arguments))
        print(f"{name}: round {turn + 1} of {arguments.rounds}", file=sys.stderr)
    return {"job": name, "studies": studies}


def summary(label: str, turns: list[list[list[float]]], job: Job) -> dict[str, Any]:
    """A contestant's trials, by arm, and what the whole job would take.

    Returns:
        Seconds, scores and bytes.
    """
    first = [arm[0] for arm in turns[0]]
    later = [median(turn[arm][0] for turn in turns[1:]) for arm in range(len(job.arms))]
    begin = later if label.startswith("plain") else first
    each = job.trials / len(job.arms)
    return {
        "first": first,
        "trial": later,
        "seconds": sum(b + (each - 1) * steady for b, steady in zip(begin, later, strict=True)),
        "score": [median(turn[arm][1] for turn in turns) for arm in range(len(job.arms))],
        "memory": max(arm[2] for turn in turns for arm in turn),
    }


def contestants(backends: list[str], job: Job) -> Iterator[tuple[str, str]]:
    """`fit` on each backend, plain, and tuned where that has a goal.

    Yields:
        Kind and backend.
    """
    for backend in backends:
        yield "plain", backend
        if job.goals[1] is not None:
            yield "tuned", backend


def table(result: dict[str, Any]) -> str:
    """A job as lines of Markdown.

    Returns:
        A table.
    """
    studies = result["studies"]
    ours = median(study["seconds"] for study in studies)
    head = [f"{result['job']}: {result['trials']} trials", ""]
    lines = [
        "| | a trial of each arm, s | job, s | normcraft is faster by | accuracy | memory, MB |",
        "|---|---|---|---|---|---|",
        row("normcraft", middle(studies, "trial"), ours, "", middle(studies, "score"),
            max(study["memory"] for study in studies)),
    ]  # fmt: skip
    for label, fit in result["fit"].items():
        ratio = f"{fit['seconds'] / ours:.2f}"
        lines.append(row(label, fit["trial"], fit["seconds"], ratio, fit["score"], fit["memory"]))
    for kind, goal in zip(("plain", "tuned"), result["goals"], strict=True):
        totals = [fit["seconds"] for label, fit in result["fit"].items() if label.startswith(kind)]
        if goal and totals:
            low, high = (min(totals) / one for one in spread(studies))
            lines.append(
                f"\nagainst the fastest {kind} fit: {min(totals) / ours:.2f} ({low:.2f} to "
                f"{high:.2f} over {len(studies)} jobs), goal {goal}"
            )
    job = JOBS[result["job"]]
    steps = job.epochs * (job.steps or 1)
    if job.steps:
        of_bound = [
            1e-3 * step * steps / bound
            for step, bound in zip(middle(studies, "step"), result["bound"], strict=True)
        ]
        lines.append(f"\na step takes {numbers(of_bound)} times what its arithmetic and bytes need")
    share = numbers(middle(studies, "training"))
    lines.append(f"\nplan: {studies[0]['plan']}; of a trial's seconds {share} are training")
    return "\n".join(head + lines)


def slope_table(result: dict[str, Any]) -> str:
    """Jobs by their numbers of trials as lines of Markdown, with the least-squares slope.

    Returns:
        A table.
    """
    import numpy as np

    jobs = {n: median(one["seconds"] for one in found) for n, found in result["studies"].items()}
    several = [number for number in jobs if number > 1]
    further = np.polyfit(several, [jobs[number] for number in several], 1)[0]
    most = result["studies"][max(jobs)]
    training = median(one["trial"][0] * one["training"][0] for one in most)
    lines = ["slope: R1 by its number of trials", "", "| trials | job, s |", "|---|---|"]
    lines += [f"| {number} | {seconds:.2f} |" for number, seconds in jobs.items()]
    lines.append(
        f"\na further trial takes {1e3 * further:.0f} ms, {1e3 * training:.0f} of them training: "
        f"{further / training:.2f} times its training, goal 1.1"
    )
    return "\n".join(lines)


def middle(studies: list[dict[str, Any]], key: str) -> list[float]:
    """The median over studies of each arm's value.

    Returns:
        One number an arm.
    """
    return [median(values) for values in zip(*(study[key] for study in studies), strict=True)]


def spread(studies: list[dict[str, Any]]) -> tuple[float, float]:
    """The longest and the shortest job.

    Returns:
        Seconds.
    """
    seconds = [study["seconds"] for study in studies]
    return max(seconds), min(seconds)


def row(
    label: str, trial: list[float], job: float, ratio: str, score: list[float], size: float
) -> str:
    """A line of the table.

    Returns:
        Markdown.
    """
    cells = (label, numbers(trial), f"{job:.1f}", ratio, numbers(score), f"{size / 1e6:,.0f}")
    return f"| {' | '.join(cells)} |"


def numbers(values: list[float]) -> str:
    """Numbers with three digits.

    Returns:
        Text.
    """
    return ", ".join(f"{value:.3g}" for value in values)


if __name__ == "__main__":
    main()
