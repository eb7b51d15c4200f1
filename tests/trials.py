"""Single trials, as tests of trainers run them."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace

import keras
import numpy as np
import pytest

from normcraft.data import take
from normcraft.records import TrialRecord, TrialSpec
from normcraft.studies.best_models import Candidates
from normcraft.studies.worker import MakeWorker
from normcraft.surgery import place
from normcraft.trainers import FitTrainer, Trial, TrialData, ensure_compiled, find_objective


def on_accelerator() -> bool:
    """Whether these tests run on JAX, on a GPU or TPU."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() != "cpu"


on_processor = pytest.mark.skipif(on_accelerator(), reason="accelerators compute otherwise")


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


class Nowhere(Candidates):
    """Workers leave no models."""

    def __init__(self):
        super().__init__(None, 1)

    def offer(self, records, save):
        pass


def trainer_of(model, placement: str, digits, **arguments) -> FitTrainer:
    objective = find_objective(model, digits.x_train[:8], digits.y_train[:8])
    return FitTrainer(place(model, placement).model, objective, **arguments)


def without_times(record: TrialRecord) -> TrialRecord:
    curve = tuple(replace(point, seconds=0.0) for point in record.curve)
    return replace(record, curve=curve, seconds=0.0, step_milliseconds=None)


def ours_are_faster(model, batch_size=32):
    """Speeds as if every form of ours were faster than the library's."""
    from normcraft.trainers.fused.forms import places

    return {
        place.key: {
            f"{part}: {name}": 1.0 if "library" in name else 0.5
            for part, names in place.names.items()
            for name in names
        }
        for training in places(model, batch_size)
        for place in (training, training.judging)
    }


def trainers(
    model,
    data,
    placement="as_given",
    *,
    speeds=None,
    batch_size=32,
    keep=False,
    fit=FitTrainer,
):
    """The same arm by both trainers, the fused one first."""
    from normcraft.trainers.fused import FusedTrainer

    ensure_compiled(model, data.y_train)
    few = np.arange(8)
    x, y = (take(part, few) for part in (data.x_train, data.y_train))
    objective = find_objective(model, x, y)
    one, other = (place(model, placement).model for _ in range(2))
    initial = [np.array(keras.ops.convert_to_numpy(v)) for v in one.variables] if keep else None
    return (
        FusedTrainer(one, objective, initial=initial, batch_size=batch_size, speeds=speeds),
        fit(other, objective, initial=initial),
    )


def assert_alike(ours, theirs, *, rtol=1e-4):
    """Records of a short trial; what is longer drifts apart as two runs of `fit` would."""
    assert ours.outcome == theirs.outcome == "finished"
    for name in ("loss", "score", "validation_loss", "validation_score"):
        a, b = ([getattr(point, name) for point in one.curve] for one in (ours, theirs))
        np.testing.assert_allclose(a, b, rtol=rtol)
    for name in ("score", "score_as_trained", "loss", "test_score", "chance_score"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert a == b if a is None or b is None else a == pytest.approx(b, rel=rtol)
    assert list(ours.activations) == list(theirs.activations)
    for name, summary in theirs.activations.items():
        assert ours.activations[name] == pytest.approx(summary, rel=1e-3, abs=1e-4)


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
    jax.config.update("jax_log_compiles", True)  # in all threads
    try:
        yield names
    finally:
        jax.config.update("jax_log_compiles", False)
        logger.removeHandler(listener)


def fused_trainer(model, data, together=1, strands=1, placement="before_activation", speeds=None):
    """A fused trainer of an arm of a model, which is compiled where it is not."""
    from normcraft.trainers.fused import FusedTrainer

    ensure_compiled(model, data.y_train)
    objective = find_objective(model, data.x_train[:8], data.y_train[:8])
    arm = place(model, placement).model
    return FusedTrainer(arm, objective, together=together, strands=strands, speeds=speeds)


def trained(worker, group) -> list[TrialRecord]:
    """The records of a group's trials, in whatever portions they come."""
    return [record for records in worker(group) for record in records]


def trials_of(data, rates, **changes) -> list[Trial]:
    """A trial for each rate, seed by seed."""
    return [
        Trial(spec_of("a", seed=seed, rate=rate, **changes), TrialData.of_seed(data, seed))
        for seed, rate in enumerate(rates)
    ]


def fused_worker(data, *, together=1, strands=1, model=None):
    """A worker that trains a model, else the small one, as arm `a`, and leaves no models."""
    model = model or small_model()
    ensure_compiled(model, data.y_train)
    objective = find_objective(model, data.x_train[:8], data.y_train[:8])
    parts = MakeWorker(
        {"a": model}, data, objective, {}, Nowhere(), together=together, strands=strands
    )
    return parts(lambda spec, epoch: None)
