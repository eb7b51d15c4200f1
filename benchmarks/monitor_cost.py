"""What a monitor costs: fits with it and without, in turns.

    KERAS_BACKEND=jax python benchmarks/monitor_cost.py [--rounds 9] [--epochs 8] [--steps 150]

The digits CNN on the digits and the blog's CNN on synthetic images of 28x28x1, both with batch
normalization before their activations, batches of 32. In each round both ways train a fresh copy of
the same model from the same weights; which goes first alternates. Timed is the call of `fit`,
compilation included, by the clock and by the time on processors, which other programs disturb less.
Given are the medians of the ratios of rounds with the interval that the sign test gives for it at
95% (its order statistics), and the share of the time that the monitor itself says it took.
"""

from __future__ import annotations

import argparse
import time
from math import comb
from statistics import median
from typing import Any

import keras
import numpy as np

from normcraft import insert_normalization, load_dataset, recipes
from normcraft.callbacks import NormalizationMonitor

Times = tuple[float, float]  # seconds by the clock and on processors


def main() -> None:
    """Lets both ways take turns and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rounds", 9), ("epochs", 8), ("steps", 150)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    digits, random = load_dataset("digits"), np.random.default_rng(0)
    images = random.random((32 * arguments.steps, 28, 28, 1), "float32")
    labels = random.integers(0, 10, len(images))
    jobs = {
        "digits_cnn": (recipes.digits_cnn, digits.x_train / 16, digits.y_train),
        "blog_cnn": (recipes.blog_cnn, images, labels),
    }
    print(f"{keras.backend.backend()}, {arguments.rounds} rounds of {arguments.epochs} epochs")
    for name, (build, x, y) in jobs.items():
        show(name, *measure(build, x, y, arguments))


def measure(
    build: Any, x: Any, y: Any, arguments: argparse.Namespace
) -> tuple[list[tuple[Times, Times]], list[float], int]:
    """Times of both ways round by round, the monitor's own share, and its records."""
    model = insert_normalization(build(), "before_activation").model
    pairs, shares, records = [], [], 0
    for turn in range(arguments.rounds + 1):  # the first one warms up
        monitor = NormalizationMonitor(x, verbose=False)
        ways: list[list[Any]] = [[], [monitor]]
        found = {}
        for way in (0, 1) if turn % 2 else (1, 0):
            found[way] = timed(model, x, y, arguments.epochs, ways[way])
        if turn:
            pairs.append((found[0], found[1]))
            shares.append(monitor.seconds / found[1][0])
            records = len(monitor._moments)
    return pairs, shares, records


def timed(model: Any, x: Any, y: Any, epochs: int, callbacks: list[Any]) -> Times:
    """Seconds of a fit of a fresh copy."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile("adam", "sparse_categorical_crossentropy")
    started = time.perf_counter(), time.process_time()
    copy.fit(x, y, batch_size=32, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
    return time.perf_counter() - started[0], time.process_time() - started[1]


def show(name: str, pairs: list[tuple[Times, Times]], shares: list[float], records: int) -> None:
    """Prints a line for each clock."""
    for index, clock in enumerate(("clock", "processors")):
        ratios = sorted(with_it[index] / without[index] for without, with_it in pairs)
        low, high = interval(ratios)
        seconds = median(without[index] for without, _ in pairs)
        print(
            f"{name:10} {clock:10} {seconds:6.2f} s without, {median(ratios):.3f} times with it "
            f"(95%: {low:.3f} to {high:.3f})"
        )
    own = f"{median(shares):.2%} (at most {max(shares):.2%})"
    print(f"{name:10} by its own clock the monitor took {own} for {records} records")


def interval(ratios: list[float]) -> tuple[float, float]:
    """Order statistics between which the median lies with 95%, or the ends where they are few."""
    number, cut = len(ratios), 0
    while 2 * sum(comb(number, k) for k in range(cut + 1)) / 2**number <= 0.05:
        cut += 1
    cut = max(cut - 1, 0)
    return ratios[cut], ratios[number - 1 - cut]


if __name__ == "__main__":
    main()
