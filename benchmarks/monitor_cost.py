"""What a monitor costs: epochs of one `fit` with it and without, in turns.

    KERAS_BACKEND=jax python benchmarks/monitor_cost.py [--pairs 20] [--steps 60]

The digits CNN on the digits and the blog's CNN on synthetic images of 28x28x1, both with batch
normalization before their activations, batches of 32. Within one `fit` the monitor is on in one
epoch of each pair and off in the other; which comes first alternates. Its pace is that of a
training of the epochs alone in which it is on. The first pair, which compiles, is left out. Timed
is each epoch, by the clock and by the time on processors, which other programs disturb less. Given
is the median of the pairs' ratios with the interval of the sign test at 95% (order statistics),
and the share of the time that the monitor itself says it took, first and last copy included.
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


class InTurns(NormalizationMonitor):
    """A monitor that is on in every second epoch, and times all of them."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Says whether it is on."""
        super().on_epoch_begin(epoch, logs)
        self.on = epoch % 2 == epoch // 2 % 2
        self.started = now()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Keeps weights where it is on."""
        if self.on:
            super().on_train_batch_begin(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes the times of the epoch down."""
        ended = now()
        taken = (ended[0] - self.started[0], ended[1] - self.started[1])
        self.epochs: list[Times] = [*getattr(self, "epochs", []), taken]
        if not self.on and self._paced_from is not None:
            self._paced_from += taken[0]


def now() -> Times:
    """Both clocks."""
    return time.perf_counter(), time.process_time()


def main() -> None:
    """Measures both jobs and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("pairs", 20), ("steps", 60)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    digits, random = load_dataset("digits"), np.random.default_rng(0)
    images = random.random((32 * arguments.steps, 28, 28, 1), "float32")
    labels = random.integers(0, 10, len(images))
    jobs = {
        "digits_cnn": (recipes.digits_cnn, digits.x_train / 16, digits.y_train),
        "blog_cnn": (recipes.blog_cnn, images, labels),
    }
    for name, (build, x, y) in jobs.items():
        model = insert_normalization(build(), "before_activation").model
        model.compile("adam", "sparse_categorical_crossentropy")
        monitor = InTurns(x, verbose=False)
        epochs = 2 * (arguments.pairs + 1)
        model.fit(x, y, batch_size=32, epochs=epochs, verbose=0, callbacks=[monitor])
        show(f"{keras.backend.backend()} {name}", monitor)


def show(name: str, monitor: InTurns) -> None:
    """Prints a line for each clock."""
    for index, clock in enumerate(("clock", "processors")):
        times = [one[index] for one in monitor.epochs]
        pairs = [sorted(range(2 * n, 2 * n + 2), key=is_on) for n in range(1, len(times) // 2)]
        ratios = sorted(times[on] / times[off] for off, on in pairs)
        low, high = interval(ratios)
        seconds = median(times[off] for off, _ in pairs)
        print(
            f"{name:22} {clock:10} {seconds:5.2f} s an epoch without, {median(ratios):.3f} times "
            f"with it (95%: {low:.3f} to {high:.3f}, {len(ratios)} pairs)"
        )
    on = sum(seconds for number, (seconds, _) in enumerate(monitor.epochs) if is_on(number))
    share, records = monitor.seconds / on, len(monitor._moments)
    print(f"{name:22} by its own clock the monitor took {share:.2%}; {records} records")


def is_on(epoch: int) -> bool:
    """Whether the monitor is on in an epoch."""
    return epoch % 2 == epoch // 2 % 2


def interval(ratios: list[float]) -> tuple[float, float]:
    """Order statistics between which the median lies with 95%, or the ends where they are few."""
    number, cut = len(ratios), 0
    while 2 * sum(comb(number, k) for k in range(cut + 1)) / 2**number <= 0.05:
        cut += 1
    cut = max(cut - 1, 0)
    return ratios[cut], ratios[number - 1 - cut]


if __name__ == "__main__":
    main()
