"""Several trials in one program: each as if it were alone, whatever becomes of the others."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

pytest.importorskip("jax")

from normcraft import recipes
from normcraft.data import load_dataset
from normcraft.records import TrialRecord
from normcraft.studies.plan import groups_of
from normcraft.surgery import place
from normcraft.trainers import TrialData
from trials import (
    assert_alike,
    fused_trainer,
    fused_worker,
    ours_are_faster,
    small_model,
    spec_of,
    traced,
    trained,
    trials_of,
    without_times,
)

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is JAX's trainer")

TOGETHER = 3


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def trainer(digits):
    return fused_trainer(small_model(dropout=0.2), digits, TOGETHER)


def test_trials_together_are_trials_one_by_one(digits, trainer):
    trials = trials_of(digits, [0.01, 0.001, 0.1])
    alone = fused_trainer(small_model(dropout=0.2), digits, 1)
    for together, trial in zip(trainer.train_together(trials), trials, strict=True):
        assert_alike(together, alone.train(*trial))
        assert together.spec == trial.spec


def test_convolutions_with_a_kernel_for_each_trial(digits):
    model = recipes.digits_cnn()
    speeds = ours_are_faster(place(model, "before_activation").model)
    trials = trials_of(digits, [1e-3, 3e-3], steps_per_epoch=6)
    several, alone = (fused_trainer(model, digits, n, speeds=speeds) for n in (2, 1))
    for together, trial in zip(several.train_together(trials), trials, strict=True):
        assert_alike(together, alone.train(*trial), rtol=1e-3)


def test_a_trial_that_diverges_does_not_touch_the_others(digits, trainer):
    good = [without_times(one) for one in trainer.train_together(trials_of(digits, [0.01] * 3))]
    mixed = trials_of(digits, [0.01, 1e38, 0.01])
    first, bad, last = map(without_times, trainer.train_together(mixed))
    assert bad.outcome == "diverged"
    assert len(bad.curve) == 1
    assert (first, last) == (good[0], good[2]), "bit by bit"


def test_a_trial_is_the_same_in_every_lane_and_in_a_group_that_is_not_full(digits, trainer):
    one, two, three = trials_of(digits, [0.01, 0.02, 0.03])
    *_, third = map(without_times, trainer.train_together([one, two, three]))
    first, *_ = map(without_times, trainer.train_together([three, one, two]))
    with traced() as names:
        (alone,) = map(without_times, trainer.train_together([three]))
    assert third == first == alone
    assert not [name for name in names if "steps" in name], "nothing is compiled for it"


@pytest.mark.parametrize("strands", [1, TOGETHER])
def test_the_model_is_that_of_the_trial_whose_record_is_given(digits, strands, tmp_path):
    trainer = fused_trainer(small_model(dropout=0.2), digits, TOGETHER, strands)
    for number, record in enumerate(trainer.train_together(trials_of(digits, [0.01] * 3))):
        trainer.save(path := tmp_path / f"{number}.keras", number)
        x, y = TrialData.of_seed(digits, record.spec.seed).judged_on("validation")
        found = keras.saving.load_model(path).evaluate(x, y, verbose=0, return_dict=True)
        assert found["accuracy"] == pytest.approx(record.score, abs=1e-6)


def test_chance_by_the_loss_holds_what_regularizes_the_weights_of_each_trial(digits):
    model = small_model()
    model.get_layer("hidden").kernel_regularizer = keras.regularizers.L2(0.1)
    model = keras.models.clone_model(model)
    model.compile("adam", "sparse_categorical_crossentropy")
    trials = trials_of(digits, [0.01, 0.01])
    together = [one.chance_score for one in fused_trainer(model, digits, 2).train_together(trials)]
    alone = fused_trainer(model, digits)
    assert together == pytest.approx([alone.train(*one).chance_score for one in trials], rel=1e-6)
    assert together[0] != together[1]


def test_a_rate_of_a_schedule_for_each_trial(digits):
    model = small_model()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 5, 0.5)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.SGD(schedule), loss, metrics=["accuracy"])
    trials = trials_of(digits, [0.01, 0.04])
    several, alone = (fused_trainer(model, digits, n) for n in (2, 1))
    for together, trial in zip(several.train_together(trials), trials, strict=True):
        assert_alike(together, alone.train(*trial))


@keras.saving.register_keras_serializable("normcraft.tests")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Has a rate by a name that nobody knows."""

    def __init__(self, initial_learning_rate, peak=0.05):
        self.initial_learning_rate, self.peak = initial_learning_rate, peak

    def __call__(self, step):
        share = keras.ops.minimum(keras.ops.cast(step, "float32") / 5, 1)
        return self.initial_learning_rate * (1 - share) + self.peak * share

    def get_config(self):
        return {"initial_learning_rate": self.initial_learning_rate, "peak": self.peak}


def with_warm_up():
    model = small_model()
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.SGD(WarmUp(1e-3)), loss, metrics=["accuracy"])
    return model


def test_a_rate_that_is_another_program_is_trained_apart(digits):
    several = [(seed, rate) for seed in (0, 1, 2) for rate in (1e-3, 0.03)]
    settings = {"trainer": "fused", "epochs": 1}
    specs = [spec_of("a", seed=seed, rate=rate, **settings) for seed, rate in several]
    (group,) = groups_of(specs, 6)
    records = trained(fused_worker(digits, together=4, model=with_warm_up()), group)
    alone = fused_worker(digits, model=with_warm_up())
    assert [record.spec for record in records] == list(group)
    for record in records:
        (expected,) = trained(alone, (record.spec,))
        assert_alike(record, expected)


def test_fewer_trials_are_trained_at_once_where_memory_runs_out(digits, monkeypatch):
    import jax

    from normcraft.trainers.fused.program import Program

    tried, train = [], Program.train

    def short_of_memory(self, *arguments):
        tried.append(self._lanes)
        if self._lanes > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return train(self, *arguments)

    monkeypatch.setattr(Program, "train", short_of_memory)
    group = tuple(spec_of("a", seed=seed, trainer="fused", epochs=1) for seed in range(8))
    records = trained(fused_worker(digits, together=8), group)
    assert [record.outcome for record in records] == ["finished"] * 8
    assert [record.spec for record in records] == list(group)
    assert tried == [8, 4, 2, 2, 2, 2]


def test_a_trial_that_fails_fails_alone(digits, monkeypatch):
    of_seed = TrialData.of_seed.__func__

    def broken(cls, dataset, seed, *rest):
        if seed == 2:
            raise ValueError("seed 2 is unlucky")
        return of_seed(cls, dataset, seed, *rest)

    monkeypatch.setattr(TrialData, "of_seed", classmethod(broken))
    group = tuple(spec_of("a", seed=seed, trainer="fused", epochs=1) for seed in range(4))
    records = trained(fused_worker(digits, together=4), group)
    assert [record.outcome for record in records] == ["finished"] * 2 + ["failed", "finished"]
    assert records[2] == TrialRecord(group[2], "failed", reason="ValueError: seed 2 is unlucky")


def test_times_are_shares_of_what_the_group_took(digits, trainer):
    records = list(trainer.train_together(trials_of(digits, [0.01] * 3)))
    assert len({record.seconds for record in records}) == 1
    point = records[0].curve[-1]
    assert records[0].step_milliseconds == pytest.approx(1000 * point.seconds / 10)
    assert replace(records[0], seconds=0.0).seconds == 0
    assert np.isfinite(point.seconds)
