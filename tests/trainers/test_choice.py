"""Which trainer serves: the fused one where it can, else `fit`, with the reason."""

from __future__ import annotations

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from normcraft._core.errors import InputError
from normcraft.data import from_arrays, load_dataset
from normcraft.studies import Budget, Grid, Options, Store, Study
from normcraft.trainers import choose_trainer
from trials import small_model

JAX = keras.backend.backend() == "jax"
on_jax = pytest.mark.skipif(not JAX, reason="it is JAX's trainer")


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def compiled(model=None, **settings):
    model = model or small_model()
    settings = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy"} | settings
    model.compile(**settings)
    return model


class OwnStep(keras.Model):
    def train_step(self, *args):
        return super().train_step(*args)


def with_own_step():
    plain = small_model()
    return OwnStep(plain.inputs, plain.outputs)


CANNOT = {
    "own step": (lambda: compiled(with_own_step()), "OwnStep has a train_step of its own"),
    "eager": (lambda: compiled(run_eagerly=True), "run_eagerly"),
    "not jitted": (lambda: compiled(jit_compile=False), "jit_compile"),
    "averaged": (
        lambda: compiled(optimizer=keras.optimizers.SGD(0.1, use_ema=True)),
        "such as their averages",
    ),
    "rate": (lambda: compiled(optimizer=keras.optimizers.SGD(lambda: 0.1)), "Python function"),
}


@on_jax
@pytest.mark.parametrize("kind", CANNOT)
def test_what_it_cannot_serve_goes_to_fit_with_the_reason(digits, kind):
    build, says = CANNOT[kind]
    name, reason = choose_trainer("auto", [compiled(), build()], digits)
    assert name == "fit"
    assert says in reason
    with pytest.raises(InputError, match=r"the fused trainer cannot train this.*--trainer fit"):
        choose_trainer("fused", [build()], digits)
    assert choose_trainer("fit", [build()], digits) == ("fit", None)


@on_jax
def test_it_serves_everything_else(digits):
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    for optimizer in ("sgd", "lion", "adafactor", scaled):
        assert choose_trainer("auto", [compiled(optimizer=optimizer)], digits) == ("fused", None)


@on_jax
def test_text_goes_to_fit():
    data = replace(from_arrays(np.zeros((4, 2)), [0, 1, 0, 1]), x_train=np.array([["a"]] * 4))
    assert choose_trainer("auto", [compiled()], data) == ("fit", "the inputs are no numbers")


@pytest.mark.skipif(JAX, reason="here it can")
def test_on_another_backend_it_says_so(digits):
    name = keras.backend.backend()
    reason = f"it needs the JAX backend, and this is {name}"
    assert choose_trainer("auto", [compiled()], digits) == ("fit", reason)
    with pytest.raises(InputError, match=reason):
        Study(small_model(), digits, options=Options(trainer="fused"))


def study_of(model, digits, **options):
    grid, budget = Grid(placements=("none",)), Budget(seeds=2, epochs=1, steps_per_epoch=3)
    return Study(model, digits, grid=grid, budget=budget, options=Options(**options))


@on_jax
def test_the_records_say_which_trainer_and_a_note_says_why(digits, tmp_path):
    study = study_of(compiled(optimizer=keras.optimizers.SGD(0.1, use_ema=True)), digits)
    assert {spec.trainer for spec in study.specs} == {"fit"}
    assert any("such as their averages" in note for note in study.about.notes)
    fused = study_of(small_model(), digits)
    assert {spec.trainer for spec in fused.specs} == {"fused"}
    assert not any("fused" in note for note in fused.about.notes)
    assert {s.hash for s in fused.specs}.isdisjoint(
        s.hash for s in study_of(small_model(), digits, trainer="fit").specs
    )


@on_jax
def test_a_store_keeps_the_speeds_by_which_it_was_run(digits, tmp_path, monkeypatch):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D(name="pool")(x))
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax", name="head")(x))
    monkeypatch.setattr("normcraft.studies.plan.FEW", 0)
    study = study_of(model, digits)
    with Store(tmp_path / "s.db") as store:
        study.run(store)
        speeds = store.plan(study.specs)["speeds"]
        kinds = {"first Conv2D", "first judging Conv2D", "MaxPooling2D"}
        assert {key.split("(")[0] for key in speeds} == kinds
        json.dumps(speeds)
        module = "normcraft.trainers.fused.speeds"
        monkeypatch.setattr(f"{module}._file", lambda _: None)
        monkeypatch.setattr(f"{module}._times", lambda *_, **__: pytest.fail("again"))
        study = study_of(model, digits, initial="keep")
        study.run(store)
        assert store.plan(study.specs)["speeds"] == speeds
