"""A small study that says on stdout where it is.

Run as a script: `sweep.py STORE EXECUTOR [STEPS]`, the last the steps of an epoch of a larger
model.
"""

from __future__ import annotations

import os
import sys

from normcraft.data import load_dataset
from normcraft.studies import Budget, Grid, Options, Progress, Store, Study
from trials import small_model


def study(executor, steps=None):
    return Study(
        small_model(2048 if steps else 16),
        load_dataset("digits"),
        grid=Grid(placements=("none", "before_activation"), learning_rates=(0.001, 0.01)),
        budget=Budget(seeds=4, epochs=3, steps_per_epoch=steps and int(steps)),
        options=Options(executor=executor, workers=None if executor == "local" else 2),
    )


def say(word):
    os.write(1, f"{word}\n".encode())


class Saying(Progress):
    def start(self, **numbers):
        say("start")

    def epoch(self, spec, number):
        say("epoch")

    def stopping(self):
        say("stopping")


class SayingStore(Store):
    """Says when a write begins and ends."""

    def add(self, record):
        say("write")
        super().add(record)
        say("written")


if __name__ == "__main__":
    with SayingStore(sys.argv[1]) as store:
        say("begin")
        study(*sys.argv[2:]).run(store, progress=Saying())
    say("end")
