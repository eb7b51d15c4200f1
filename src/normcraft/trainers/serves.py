"""What the fused trainer cannot train, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import keras

from normcraft._core.keras_private import learning_rate_source
from normcraft.data import Dataset
from normcraft.trainers.optimizer import changes_weights

__all__ = ["why_not"]

# What a subclass may compute in its own way, and `fit` would call from Python.
OWN_STEPS = ("train_step", "test_step", "fit", "evaluate", "make_train_function")


def why_not(models: Iterable[keras.Model], dataset: Dataset) -> str | None:
    """Why models cannot be trained by the fused trainer.

    Args:
        models: Compiled models.
        dataset: The data.

    Returns:
        The first reason found, None if they can.
    """
    if keras.backend.backend() != "jax":
        return f"it needs the JAX backend, and this is {keras.backend.backend()}"
    if any(array.dtype.kind not in "fiub" for array in keras.tree.flatten(dataset.x_train)):
        return "the inputs are no numbers"
    if keras.distribution.distribution() is not None:
        return "the model is distributed over devices"
    return next((reason for model in models for reason in _reasons(model)), None)


def _reasons(model: keras.Model) -> Iterator[str]:
    for name in OWN_STEPS:
        if getattr(type(model), name) is not getattr(keras.Model, name):
            yield f"{type(model).__name__} has a {name} of its own"
    if model.run_eagerly or not model.jit_compile:
        yield "the model was compiled not to be compiled (run_eagerly, jit_compile)"
    if changes_weights(model.optimizer):
        yield "its optimizer puts other weights in place when `fit` ends, such as their averages"
    source = learning_rate_source(model.optimizer)
    known = isinstance(source, keras.Variable | keras.optimizers.schedules.LearningRateSchedule)
    if isinstance(source, Callable) and not known:  # type: ignore[arg-type]
        yield "its learning rate is a Python function"
