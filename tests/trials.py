"""Single trials, as tests of trainers run them."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace

import keras

from normcraft.records import TrialRecord, TrialSpec
from normcraft.surgery import place
from normcraft.trainers import FitTrainer, find_objective


def small_model(units: int = 16, dropout: float | None = None) -> keras.Model:
    """A small classifier of handwritten digits, not compiled; every layer has a name."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="pixels"),
            layers.Flatten(name="flatten"),
            layers.Dense(units, "relu", name="hidden"),
            *([layers.Dropout(dropout, name="dropout")] if dropout is not None else []),
            layers.Dense(10, "softmax", name="head"),
        ],
        name="small",
    )


def spec_of(arm: str, *, seed: int = 0, rate: float = 0.01, **changes) -> TrialSpec:
    spec = TrialSpec(
        arm, arm, "batch", None, 32, rate, seed, 2, 10, True, "model", "reinitialize", "data",
        "accuracy", "fit", "one process", keras.backend.backend(), "float32", 1,
    )  # fmt: skip
    return replace(spec, **changes)


def trainer_of(model, placement: str, digits, **arguments) -> FitTrainer:
    objective = find_objective(model, digits.x_train[:8], digits.y_train[:8])
    return FitTrainer(place(model, placement).model, objective, **arguments)


def without_times(record: TrialRecord) -> TrialRecord:
    curve = tuple(replace(point, seconds=0.0) for point in record.curve)
    return replace(record, curve=curve, seconds=0.0, step_milliseconds=None)


@contextmanager
def traced():
    """The programs that JAX traces inside of the context."""
    import jax

    names = []

    class Listener(logging.Handler):
        def emit(self, record):
            names.append(record.getMessage())

    logger, listener = logging.getLogger("jax._src.interpreters.pxla"), Listener()
    logger.addHandler(listener)
    try:
        with jax.log_compiles():
            yield names
    finally:
        logger.removeHandler(listener)
