"""What is done otherwise on an accelerator, played on a processor; numbers are the same."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import keras
import pytest

pytest.importorskip("jax")

from keras import layers

from normcraft import recipes
from normcraft.data import load_dataset
from normcraft.studies import Budget, Grid, Store, Study
from normcraft.studies.rehearsal import Rehearsal
from normcraft.surgery import place
from normcraft.trainers.fused import FusedTrainer, group_size, measure_speeds
from normcraft.trainers.fused.forms import places
from normcraft.trainers.fused.shared import FAST, UNTUNED, _settings
from normcraft.trainers.fused.speeds import chosen
from normcraft.trainers.fused.trial_memory import bytes_of_trial
from trials import assert_alike, fused_trainer, fused_worker, small_model, spec_of, trials_of

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is JAX's trainer")


@pytest.fixture
def accelerator(monkeypatch):
    monkeypatch.setattr("jax.default_backend", lambda: "tpu")


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def test_trials_together_are_those_of_a_processor_one_by_one(digits, monkeypatch):
    model = recipes.digits_cnn()
    trials = trials_of(digits, [1e-3, 3e-3], steps_per_epoch=6)
    expected = [fused_trainer(model, digits).train(*trial) for trial in trials]
    monkeypatch.setattr("jax.default_backend", lambda: "tpu")
    speeds = measure_speeds([place(model, "before_activation").model], [32])
    trainer = fused_trainer(model, digits, 2, speeds=speeds)
    assert {type(layer).__name__ for layer, _, _ in trainer._chosen} == {
        "Conv2D",
        "MaxPooling2D",
        "BatchNormalization",
    }
    for found, one in zip(trainer.train_together(trials), expected, strict=True):
        assert_alike(found, one, rtol=1e-3)


def test_a_trial_alone_is_left_to_the_library_and_loops_all_the_same(digits, accelerator):
    model = place(recipes.digits_cnn(), "before_activation").model
    speeds = measure_speeds([model], [32])
    assert chosen(places(model, 32), speeds) == []
    trainer = fused_trainer(recipes.digits_cnn(), digits, speeds=speeds)
    assert trainer._convolves
    assert trainer.train(*trials_of(digits, [1e-3], steps_per_epoch=3)[0]).outcome == "finished"


def test_nothing_is_timed_nor_remembered(accelerator, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(FusedTrainer, "step_seconds", lambda *_: pytest.fail("timed"))
    times = "normcraft.trainers.fused.speeds._times"
    monkeypatch.setattr(times, lambda *_, **__: pytest.fail("timed"))
    spec = spec_of("a", trainer="fused")
    make = partial(Rehearsal, sizes={"a": 32}, forms=True, steps=True)
    parts = replace(fused_worker(load_dataset("digits"))._parts, together=100, make=make)
    ((found,),) = parts(lambda *_: pytest.fail("trained"))((spec,))
    assert found.fastest == (50, 1), "two programs that are as large"
    measure_speeds([recipes.digits_cnn()], [32])
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("memory", "trials", "expected"),
    [(1 << 40, 10, 10), (1 << 40, 64, 64), (1 << 40, 65, 33), (0, 10, 1), (5, 16, 4), (5, 5, 5)],
)
def test_a_group_is_what_half_of_the_memory_holds(monkeypatch, memory, trials, expected):
    models = [small_model(), small_model(units=64)]
    each = bytes_of_trial(models[1], 32)
    assert each > bytes_of_trial(models[0], 32)
    held = memory if memory > 5 else 2 * memory * each
    monkeypatch.setattr("normcraft.trainers.fused.trial_memory.device_memory", lambda: held)
    assert group_size(models, [32, 32], trials) == expected


def test_what_a_trial_takes_grows_with_outputs_patches_and_weights():
    def sized(*more, size=32):
        return bytes_of_trial(keras.Sequential([keras.Input((16, 16, 4)), *more]), size)

    one = sized(layers.Conv2D(8, 3))
    assert one == 16 * 296 + 256 * 4 * (2 * 14 * 14 * 8 + 14 * 14 * 9 * 4)
    assert sized(layers.Conv2D(8, 3), size=1024) > one
    assert sized(layers.Conv2D(8, 3, groups=2)) < one, "which is no product"
    assert sized(layers.Conv2D(8, 3), layers.Flatten(), layers.Dense(100)) > one


def test_kernels_are_timed_by_xla_where_the_library_convolves(monkeypatch):
    found = {}
    for backend in ("cpu", "gpu", "tpu"):
        monkeypatch.setattr("jax.default_backend", lambda name=backend: name)
        found[backend] = [
            _settings(seldom=seldom, convolves=convolves)
            for seldom in (False, True)
            for convolves in (False, True)
        ]
    assert found == {
        "cpu": [None, None, FAST, FAST],
        "gpu": [UNTUNED, None, UNTUNED, None],
        "tpu": [None] * 4,
    }


def test_a_study_runs_in_whole_groups(digits, tmp_path, monkeypatch):
    study = Study(
        small_model(),
        digits,
        grid=Grid(placements=("none", "before_activation"), learning_rates=(0.01, 0.02)),
        budget=Budget(seeds=3, epochs=2, steps_per_epoch=5),
    )
    widths, train = [], FusedTrainer.train_together
    with Store(tmp_path / "here.db") as store:
        expected = study.run(store).records
    monkeypatch.setattr("jax.default_backend", lambda: "tpu")
    monkeypatch.setattr(
        FusedTrainer,
        "train_together",
        lambda self, trials, **named: widths.append(len(trials)) or train(self, trials, **named),
    )
    with Store(tmp_path / "there.db") as store:
        records = study.run(store).records
    assert widths == [6, 6]
    for found, one in zip(records, expected, strict=True):
        assert found.spec == one.spec
        assert_alike(found, one)
