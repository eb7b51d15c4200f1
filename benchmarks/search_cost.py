"""Does a search find what the full grid finds, at a third of its cost?

    python -m benchmarks.search_cost --mnist mnist.npz --faces fer2013_12k.npz [--tasks 14]
        [--seeds 20] [--replays 200] [--store normcraft-runs/search-cost] [--json]

**The grids.** Each task is a model on data: eight arms (placements) at three learning rates with
`--seeds` seeds and four more, 3 epochs each, trained by `Study` as `normcraft compare` trains; the
same with the short trials of the rungs (trained as such: a curve's first epochs are not
re-estimated), and the baseline on as many further seeds for the no-change control. They lie in
`--store`, one file a task; another run trains what is missing. Without `--mnist` or `--faces` the
tasks on those data are left out.

**A replay** shuffles the seeds, and lets the search (`studies/search`, the code that `--budget`
runs) ask for trials, which are looked up. Its budget is a third of the grid's cost, and both
controls are paid from it. **Regret** is the mean of the best arm minus that of the chosen one, over
all seeds, each arm at its best rate as `compare` chooses it.

**Random search** gets what the search spent: of single trials drawn from the grid without
replacement, the arm with the best mean of a candidate; and of whole candidates (an arm at a rate)
with all seeds, the best mean. The better of the two is what has to be beaten.

Exit 1 where less than 95% of all replays have a regret of half a point or less, any costs more than
a third, or random search does as well.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from normcraft.api.prepare import as_dataset, fit_to_model, load_for
from normcraft.api.progress import watcher
from normcraft.data import Dataset, from_arrays
from normcraft.recipes import load_model
from normcraft.studies import Budget, Grid, Options, Store, Study
from normcraft.studies.search.cell import Candidate, Cell
from normcraft.studies.search.conclude import cell_of, chosen_arm, verdict_of
from normcraft.studies.search.design import (
    MOST_EXPLORERS,
    SearchDesign,
    exploration_cost,
    explorers_within,
    rung_lengths,
)
from normcraft.studies.search.follow import follow
from normcraft.studies.search.pairs import Pairs
from normcraft.studies.selection import chosen_values
from normcraft.studies.summarize import result_of
from normcraft.studies.verdict import Metric, compare_with_baseline

GOOD, SHARE, OFTEN = 0.005, 1 / 3, 0.95
LENGTH = 3
PLACEMENTS = (
    "none",
    "before_activation",
    "after_activation",
    "input",
    "output",
    "input+before_activation",
    "before_activation+output",
    "after_pooling",
)
DENSE = (*PLACEMENTS[:-1], "input+after_activation")
RATES = (0.001, 0.003, 0.01)
Figures = dict[str, Any]
Random = np.random.Generator


@dataclass(frozen=True)
class Task:
    """A model on data."""

    name: str
    model: keras.Model
    data: Dataset
    placements: tuple[str, ...] = PLACEMENTS
    rates: tuple[float, ...] = RATES
    batch_size: int = 32
    activation: str | None = None
    optimizer: str | None = None


# Tasks


def tasks(mnist: Path | None, faces: Path | None) -> Iterator[Task]:
    """All tasks whose data are there.

    Yields:
        Ten on digits, two on MNIST, two on faces.
    """
    digits = as_dataset("digits", None)

    def network() -> keras.Model:
        return load_for("digits_cnn", digits)

    yield Task("digits_cnn", network(), digits)
    yield Task("sigmoid", network(), digits, activation="sigmoid")
    yield Task("tanh", network(), digits, activation="tanh")
    yield Task("batch_128", network(), digits, batch_size=128, rates=(0.003, 0.01, 0.03))
    yield Task("sgd", network(), digits, optimizer="sgd", rates=(0.03, 0.1, 0.3))
    yield Task("narrow", load_model(_narrow), digits)
    yield Task("few_samples", network(), part_of(digits, 600))
    yield Task("dense_2", _dense(2, "relu"), digits, placements=DENSE)
    yield Task("dense_6", _dense(6, "relu"), digits, placements=DENSE)
    yield Task("dense_4_sigmoid", _dense(4, "sigmoid"), digits, placements=DENSE)
    if mnist is not None:
        data = from_file(mnist, "mnist", 2000, every=2)
        yield Task("mnist", load_for("digits_cnn", data), data)
        yield Task("mnist_sigmoid", load_for("digits_cnn", data), data, activation="sigmoid")
    if faces is not None:
        data = from_file(faces, "faces", 1500, every=4)
        yield Task("faces", load_for("digits_cnn", data), data)
        yield Task("faces_batch_128", load_for("digits_cnn", data), data, batch_size=128)


def _narrow() -> keras.Model:
    from normcraft.recipes.digits_cnn import build

    return build(filters=(4, 8), units=16)


def _dense(depth: int, activation: str) -> keras.Model:
    hidden = [layers.Dense(32, activation, name=f"dense{number}") for number in range(depth)]
    head = layers.Dense(10, "softmax", name="head")
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), *hidden, head])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def from_file(path: Path, name: str, rows: int, *, every: int) -> Dataset:
    """The first rows of an archive, images at a part of their resolution."""
    with np.load(path, allow_pickle=False) as arrays:
        x, y = arrays["x_train"][:rows], arrays["y_train"][:rows]
    x = x.reshape(len(x), *x.shape[1:3], 1)[:, ::every, ::every].astype("float32") / 255
    return from_arrays(x, y.astype("int64"), labels="auto")


def part_of(data: Dataset, rows: int) -> Dataset:
    """The first rows of a data set."""
    return from_arrays(data.x_train[:rows], data.y_train[:rows], labels="auto")


# The grid


def studies_of(task: Task, seeds: int) -> Iterator[Study]:
    """What has to be trained: each rung's trials of all candidates, and the control's."""
    data = fit_to_model(task.data, task.model)
    every = seeds + MOST_EXPLORERS
    parts = [(task.placements, length, range(every)) for length in rung_lengths(LENGTH)]
    parts.append((("none",), LENGTH, range(every, every + seeds)))
    for placements, length, chosen in parts:
        activations = None if task.activation is None else (task.activation,)
        yield Study(
            task.model,
            data,
            grid=Grid(placements, ("batch",), activations, task.rates, (task.batch_size,)),
            budget=Budget(tuple(chosen), length),
            options=Options(optimizer=task.optimizer),
        )


def trained(task: Task, seeds: int, folder: Path) -> dict[Cell, float]:
    """Trains what the store of a task lacks.

    Returns:
        The score of every trial; a failed one has none.
    """
    scores: dict[Cell, float] = {}
    with Store(folder / f"{task.name}.db") as store:
        for study in studies_of(task, seeds):
            records = study.run(store, progress=watcher()).records
            scores |= {cell_of(record): result_of(record) for record in records}
    return scores


def means_of(task: Task, scores: Mapping[Cell, float], seeds: int) -> dict[str, float]:
    """The mean of each arm over all seeds, at the rate that the other seeds prefer."""
    return {
        arm: float(chosen_values(_table(task, scores, arm, seeds + MOST_EXPLORERS)).mean())
        for arm in task.placements
    }


def _table(task: Task, scores: Mapping[Cell, float], arm: str, seeds: int) -> np.ndarray:
    rates = sorted(task.rates)
    return np.array([[scores[Cell(arm, r, s, LENGTH)] for r in rates] for s in range(seeds)])


def grid_winner(task: Task, scores: Mapping[Cell, float], seeds: int) -> str | None:
    """The best arm that the full grid calls better than the baseline; None for none."""
    baseline, *others = task.placements
    tables = {arm: _table(task, scores, arm, seeds) for arm in others}
    found = compare_with_baseline(
        _table(task, scores, baseline, seeds), tables, smallest_effect=GOOD
    )
    better = [one for one in found if one.outcome == "better"]
    return max(better, key=lambda one: one.difference).arm if better else None


# Replays


@dataclass(frozen=True)
class Replay:
    """What one search came to."""

    arm: str
    winner: str | None
    epochs: int
    grid: int


def replay(task: Task, scores: Mapping[Cell, float], seeds: int, random: Random) -> Replay:
    """One search, its trials looked up; seeds are shuffled, the control's among themselves."""
    design = design_of(task, seeds, random)
    every = seeds + MOST_EXPLORERS
    order = [*random.permutation(every), *(every + random.permutation(seeds))]
    known: dict[Cell, float] = {}
    while (state := follow(design, known)).wanted:
        known |= {cell: scores[cell._replace(seed=int(order[cell.seed]))] for cell in state.wanted}
    pairs = Pairs(design, known, seeds)
    verdict = verdict_of(state, pairs, "a third", Metric("accuracy"))
    arm = chosen_arm(state, pairs, verdict)
    return Replay(arm or design.baseline, verdict.winner, state.spent, design.grid_cost)


def design_of(task: Task, seeds: int, random: Random) -> SearchDesign:
    """The design that `--budget` would make for a third of the grid's cost."""
    arms, rates = task.placements, task.rates
    budget = len(arms) * len(rates) * seeds * LENGTH // 3
    one = exploration_cost(len(arms), 0, len(rates), rung_lengths(LENGTH))
    every = [Candidate(arm, rate) for arm in arms for rate in rates]
    drawn = every[random.integers(len(every))]
    return SearchDesign(
        arms, (), arms[0], rates, tuple(range(seeds)), LENGTH, budget,
        explorers_within(budget, one, LENGTH), drawn, None, True,
    )  # fmt: skip


def random_trials(
    task: Task, scores: Mapping[Cell, float], seeds: int, epochs: int, random: Random
) -> str:
    """Random search over single trials: the arm of the candidate with the best mean."""
    cells = [c for c in scores if c.epochs == LENGTH and c.seed < seeds + MOST_EXPLORERS]
    drawn = [cells[i] for i in random.permutation(len(cells))[: epochs // LENGTH]]
    found: dict[Candidate, list[float]] = {}
    for cell in drawn:
        found.setdefault(Candidate(cell.arm, cell.rate), []).append(scores[cell])
    return max(found, key=lambda one: float(np.mean(found[one]))).arm


def random_candidates(
    task: Task, scores: Mapping[Cell, float], seeds: int, epochs: int, random: Random
) -> str:
    """Random search over candidates, each with all seeds: the arm of the best mean."""
    every = [Candidate(arm, rate) for arm in task.placements for rate in task.rates]
    number = max(1, epochs // (LENGTH * seeds))
    drawn = [every[i] for i in random.permutation(len(every))[:number]]
    chosen = random.permutation(seeds + MOST_EXPLORERS)[:seeds]

    def mean(one: Candidate) -> float:
        return float(np.mean([scores[one.cell(int(seed), LENGTH)] for seed in chosen]))

    return max(drawn, key=mean).arm


def measured(task: Task, scores: Mapping[Cell, float], seeds: int, replays: int) -> Figures:
    """All replays of a task.

    Returns:
        Its figures.
    """
    random = np.random.default_rng([seeds, replays, len(task.name)])
    means, winner = means_of(task, scores, seeds), grid_winner(task, scores, seeds)
    best = max(means.values())
    found = [replay(task, scores, seeds, random) for _ in range(replays)]
    rivals = {
        name: [best - means[search(task, scores, seeds, one.epochs, random)] for one in found]
        for name, search in (
            ("random_trials", random_trials),
            ("random_candidates", random_candidates),
        )
    }
    regrets = [best - means[one.arm] for one in found]
    return {
        "task": task.name,
        "trials": len(scores),
        "grid_winner": winner,
        "spread_of_arms": best - min(means.values()),
        "same_winner": float(np.mean([one.winner == winner for one in found])),
        "regrets": regrets,
        "costs": [one.epochs / one.grid for one in found],
        **rivals,
    }


def good(regrets: list[float]) -> float:
    """The share of regrets of at most half a point."""
    return float(np.mean(np.array(regrets) <= GOOD + 1e-12))


def summary(found: list[Figures]) -> Figures:
    """Over all tasks."""
    names = ("regrets", "random_trials", "random_candidates", "costs")
    every = {name: [value for one in found for value in one[name]] for name in names}
    return {
        "tasks": len(found),
        "replays": len(every["regrets"]),
        "good": good(every["regrets"]),
        "mean_regret": float(np.mean(every["regrets"])),
        "largest_cost": max(every["costs"]),
        "mean_cost": float(np.mean(every["costs"])),
        "random": {
            name: {"good": good(every[name]), "mean_regret": float(np.mean(every[name]))}
            for name in ("random_trials", "random_candidates")
        },
    }


def lines(found: list[Figures], whole: Figures) -> str:
    """The figures as Markdown."""
    heads = ["task", "trials", "arms apart", "regret ≤ .5", "mean regret", "cost"]
    heads += ["random trials ≤ .5", "random candidates ≤ .5", "grid's winner", "same winner"]
    rows = [heads, ["---"] * len(heads)]
    for one in found:
        rows.append(
            [
                one["task"],
                str(one["trials"]),
                f"{100 * one['spread_of_arms']:.1f}",
                f"{good(one['regrets']):.1%}",
                f"{100 * np.mean(one['regrets']):.2f}",
                f"{np.mean(one['costs']):.1%}",
                f"{good(one['random_trials']):.1%}",
                f"{good(one['random_candidates']):.1%}",
                str(one["grid_winner"]),
                f"{one['same_winner']:.1%}",
            ]
        )
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"{table}\n\n{json.dumps(whole, indent=1)}"


def is_asked(task: Task, number: int, asked: str) -> bool:
    """Whether a task is one of those asked for, by number or name."""
    return number < int(asked) if asked.isdecimal() else task.name in asked.split(",")


def main() -> None:
    """Parses, trains what is missing, replays, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=Path("normcraft-runs/search-cost"))
    parser.add_argument("--mnist", type=Path, help="an archive with x_train, y_train")
    parser.add_argument("--faces", type=Path, help="likewise")
    parser.add_argument("--tasks", default="14", help="so many, or names with commas between")
    parser.add_argument("--seeds", type=int, default=20, help="of the grid")
    parser.add_argument("--replays", type=int, default=200, help="of each task")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    found = []
    for number, task in enumerate(tasks(arguments.mnist, arguments.faces)):
        if is_asked(task, number, arguments.tasks):
            scores = trained(task, arguments.seeds, arguments.store)
            found.append(measured(task, scores, arguments.seeds, arguments.replays))
            print(lines(found[-1:], {}), file=sys.stderr, flush=True)
    whole = summary(found)
    print(json.dumps({"tasks": found, **whole}) if arguments.json else lines(found, whole))
    rivals = [(one["good"], -one["mean_regret"]) for one in whole["random"].values()]
    beaten = all((whole["good"], -whole["mean_regret"]) > rival for rival in rivals)
    sys.exit(whole["good"] < OFTEN or whole["largest_cost"] > SHARE + 1e-9 or not beaten)


if __name__ == "__main__":
    main()
