"""Whole trials by the fused trainer: those of `fit`, and what can go wrong in them."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

pytest.importorskip("jax")

from normcraft import recipes
from normcraft.data import from_arrays, load_dataset
from normcraft.trainers import TrialData
from trials import (
    assert_alike,
    on_processor,
    ours_are_faster,
    small_model,
    spec_of,
    traced,
    trainers,
    without_times,
)

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is JAX's trainer")

layers, schedules = keras.layers, keras.optimizers.schedules


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def speeds():
    return ours_are_faster(recipes.digits_cnn("before_activation"))


@on_processor
@pytest.mark.parametrize("steps", [10, None])
def test_a_trial_is_that_of_fit(digits, speeds, steps):
    fused, fit = trainers(recipes.digits_cnn(), digits, "before_activation", speeds=speeds)
    assert not fused._convolves
    assert len(fused._chosen) == 7
    spec = spec_of("a", steps_per_epoch=steps, epochs=2 if steps else 1, rate=1e-3)
    data = TrialData.of_seed(digits, 0)
    assert_alike(fused.train(spec, data), fit.train(spec, data), rtol=1e-3)


def test_dropout_draws_what_it_draws_in_fit(digits):
    fused, fit = trainers(small_model(dropout=0.5), digits)
    data = TrialData.of_seed(digits, 3)
    assert_alike(*(one.train(spec_of("a", seed=3), data) for one in (fused, fit)))


def test_with_regularizers_class_targets_in_two_outputs_and_two_inputs(digits):
    a, b = keras.Input((8, 8, 1), name="a"), keras.Input((3,), name="b")
    x = layers.Concatenate()([layers.Flatten()(a), b])
    x = layers.Dense(16, "relu", kernel_regularizer="l2", activity_regularizer="l1", name="h")(x)
    x = layers.BatchNormalization(name="n")(x)
    outputs = {
        "digit": layers.Dense(10, "softmax", name="digit")(x),
        "size": layers.Dense(1, name="size")(x),
    }
    model = keras.Model({"a": a, "b": b}, outputs)
    model.compile(
        "adam",
        {"digit": "sparse_categorical_crossentropy", "size": "mse"},
        loss_weights={"digit": 1.0, "size": 0.1},
        metrics={"digit": ["accuracy"], "size": ["mae"]},
    )
    n = 300
    other = np.random.default_rng(0).normal(size=(n, 3)).astype("float32")
    data = from_arrays(
        {"a": digits.x_train[:n], "b": other},
        {"digit": digits.y_train[:n], "size": other[:, :1].copy()},
    )
    fused, fit = trainers(model, data)
    spec = spec_of("a", epochs=2, steps_per_epoch=None)
    trial = TrialData.of_seed(data, 0)
    assert_alike(fused.train(spec, trial), fit.train(spec, trial))


def test_a_loss_that_sums_over_a_batch_is_that_of_fit(digits):
    model = small_model()
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(reduction="sum"), metrics=["accuracy"]
    )
    trial = spec_of("a", rate=1e-4), TrialData.of_seed(digits, 0)
    fused, fit = trainers(model, digits)
    assert len(trial[1].judged_on("validation")[1]) > 256, "several batches"
    assert_alike(fused.train(*trial), fit.train(*trial))


@on_processor
def test_a_trial_is_the_same_after_others_and_after_one_that_diverged(digits, speeds):
    fused, _ = trainers(recipes.digits_cnn(), digits, "before_activation", speeds=speeds)
    spec, data = spec_of("a"), TrialData.of_seed(digits, 0)
    first = fused.train(spec, data)
    diverged = fused.train(spec_of("a", rate=1e38), data)
    assert diverged.outcome == "diverged"
    assert len(diverged.curve) == 1
    fused.train(spec_of("a", seed=1, rate=0.1), TrialData.of_seed(digits, 1))
    assert without_times(fused.train(spec, data)) == without_times(first)


def test_training_ends_where_the_loss_is_no_longer_finite(digits):
    fused, _ = trainers(small_model(), digits)
    data = TrialData.of_seed(digits, 0)
    fused.train(spec_of("a", rate=1e38, steps_per_epoch=40), data)
    (strand,) = fused._strands
    steps = int(strand.state.optimizer[0][0])
    assert steps < 10, "the optimizer counts the steps that were taken"


@pytest.mark.parametrize("one_hot", [False, True])
def test_class_weights_are_those_of_fit_and_data_of_the_program(digits, one_hot):
    y = np.eye(10, dtype="float32")[digits.y_train] if one_hot else digits.y_train
    data = from_arrays(digits.x_train, y)
    fused, fit = trainers(small_model(dropout=0.2), data, "before_activation")
    for seed, weights in enumerate([{0: 4.0, 3: 0.0}, {0: 1.0, 5: 9.0}, "balanced"]):
        trial, spec = TrialData.of_seed(data, seed, weights), spec_of("a", seed=seed)
        with traced() as programs:
            record = fused.train(spec, trial)
        assert bool(programs) is (seed == 0), "other weights must not be compiled anew"
        assert_alike(record, fit.train(spec, trial))


def rates_of(optimizer, steps):
    source = optimizer._learning_rate
    return [float(source(step)) for step in steps]


def scheduled(schedule):
    model, loss = small_model(), "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.SGD(schedule), loss, metrics=["accuracy"])
    return model


def test_the_rates_of_a_schedule_are_data(digits, tmp_path):
    fused, fit = trainers(scheduled(schedules.ExponentialDecay(0.1, 10, 0.5)), digits)
    data = TrialData.of_seed(digits, 0)
    for rate in (0.1, 0.3):
        spec = spec_of("a", rate=rate)
        with traced() as times:
            record = fused.train(spec, data)
        assert bool(times) is (rate == 0.1), "the second rate must not be compiled anew"
        assert_alike(record, fit.train(spec, data))
    fused.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(rates_of(loaded.optimizer, (0, 10)), [0.3, 0.15], rtol=1e-6)
    assert int(loaded.optimizer.iterations) == 20
    assert isinstance(fused.model.optimizer._learning_rate, schedules.ExponentialDecay)


def test_a_schedule_with_a_second_rate_that_stays_is_compiled_anew(digits):
    fused, fit = trainers(
        scheduled(schedules.PolynomialDecay(0.1, 10, end_learning_rate=0.05)), digits
    )
    data = TrialData.of_seed(digits, 0)
    for rate in (0.1, 0.3):
        spec = spec_of("a", rate=rate)
        assert_alike(fused.train(spec, data), fit.train(spec, data))


def test_python_has_its_turn_once_a_second_and_nothing_depends_on_it(digits, monkeypatch):
    fused, _ = trainers(small_model(dropout=0.5), digits, "before_activation")
    spec, data = spec_of("a", steps_per_epoch=200), TrialData.of_seed(digits, 0)
    first = fused.train(spec, data)
    monkeypatch.setattr("normcraft.trainers.fused.through.SECONDS", 1e-3)
    assert without_times(fused.train(spec, data)) == without_times(first)
    with traced() as times:
        assert without_times(fused.train(spec, data)) == without_times(first)
    assert not times


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_in_mixed_precision(digits, policy):
    keras.config.set_dtype_policy(policy)
    try:
        fused, fit = trainers(small_model(), digits, "before_activation")
        data = TrialData.of_seed(digits, 0)
        records = [one.train(spec_of("a", rate=1e-3), data) for one in (fused, fit)]
    finally:
        keras.config.set_dtype_policy("float32")
    assert records[0].outcome == records[1].outcome == "finished"
    assert records[0].loss == pytest.approx(records[1].loss, rel=0.05)


def test_it_begins_with_the_weights_that_are_kept(digits):
    model = small_model()
    fused, fit = trainers(model, digits, keep=True)
    spec, data = spec_of("a", initial="digest"), TrialData.of_seed(digits, 0)
    first = fused.train(spec, data)
    assert_alike(first, fit.train(spec, data))
    assert without_times(fused.train(spec, data)) == without_times(first)


def test_without_anything_to_train(digits):
    model = small_model()
    model.trainable = False
    fused, fit = trainers(model, digits)
    data = TrialData.of_seed(digits, 0)
    assert_alike(*(one.train(spec_of("a"), data) for one in (fused, fit)))


def test_frozen_layers_keep_their_weights_though_a_trial_failed(digits, monkeypatch):
    model = small_model()
    model.get_layer("hidden").trainable = False
    fused, _ = trainers(model, digits)
    kernel = np.array(fused.model.get_layer("hidden").kernel.value)
    spec, data = spec_of("a"), TrialData.of_seed(digits, 0)
    first = fused.train(spec, data)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("normcraft.trainers.fused.trainer.apart", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fused.train(spec, data)
    assert without_times(fused.train(spec, data)) == without_times(first)
    np.testing.assert_array_equal(fused.model.get_layer("hidden").kernel.value, kernel)


def test_a_batch_larger_than_the_data_is_one_partial_batch(digits):
    data = from_arrays(digits.x_train[:40], digits.y_train[:40])
    fused, fit = trainers(small_model(), data, "before_activation")
    spec, trial = spec_of("a", batch_size=64, steps_per_epoch=None), TrialData.of_seed(data, 0)
    assert_alike(fused.train(spec, trial), fit.train(spec, trial))
    assert int(fused.model.optimizer.iterations) == 2


def test_given_validation_and_test_data(digits):
    x, y = digits.x_train, digits.y_train
    data = from_arrays(
        x[:300], y[:300], validation_data=(x[300:400], y[300:400]), test_data=(x[400:], y[400:])
    )
    fused, fit = trainers(small_model(), data, "before_activation")
    trial = TrialData.of_seed(data, 0)
    ours, theirs = (one.train(spec_of("a"), trial) for one in (fused, fit))
    assert_alike(ours, theirs)
    assert ours.test_score is not None


@on_processor
def test_convolutions_that_are_left_to_the_library_are_run_step_by_step(digits):
    fused, fit = trainers(recipes.digits_cnn(), digits, "before_activation")
    assert fused._convolves
    spec, data = replace(spec_of("a"), steps_per_epoch=5), TrialData.of_seed(digits, 0)
    assert_alike(fused.train(spec, data), fit.train(spec, data))


def test_what_is_saved_is_a_plain_model_with_the_trained_weights(digits, speeds, tmp_path):
    fused, _ = trainers(recipes.digits_cnn(), digits, "before_activation", speeds=speeds)
    data = TrialData.of_seed(digits, 0)
    record = fused.train(spec_of("a", epochs=3), data)
    fused.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    values = loaded.evaluate(data.x_validation, data.y_validation, verbose=0, return_dict=True)
    assert values["accuracy"] == pytest.approx(record.score, abs=1e-6)
    assert values["loss"] == pytest.approx(record.loss, rel=1e-4)
    kernel = loaded.get_layer("conv1").kernel
    np.testing.assert_array_equal(kernel, fused.model.get_layer("conv1").kernel)


def test_statistics_behind_a_depthwise_convolution_are_those_of_the_trained_kernel(digits):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.DepthwiseConv2D(3, depth_multiplier=4, use_bias=False, name="depthwise"),
            layers.BatchNormalization(name="normalization"),
            layers.ReLU(name="relu"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, "softmax", name="head"),
        ]
    )
    fused, fit = trainers(model, digits, speeds=ours_are_faster(model))
    spec, data = spec_of("a", seed=1, rate=0.03), TrialData.of_seed(digits, 1)
    assert_alike(*(one.train(spec, data) for one in (fused, fit)))


@keras.saving.register_keras_serializable("normcraft.tests")
def never_nine(y, prediction):
    loss = keras.losses.sparse_categorical_crossentropy(y, prediction)
    return keras.ops.where(keras.ops.squeeze(y) == 9, np.inf, loss)


@pytest.mark.parametrize("convolves", [False, True])
def test_scores_are_of_all_samples_though_some_have_no_loss(digits, convolves):
    x, y = digits.x_train, digits.y_train
    few, nine = np.flatnonzero(y != 9), np.flatnonzero(y == 9)[:1]
    order = np.concatenate([nine, few[600:]])
    data = from_arrays(
        x[few[:300]], y[few[:300]], validation_data=(x[few[300:600]], y[few[300:600]]),
        test_data=(x[order], y[order]),
    )  # fmt: skip
    model = recipes.digits_cnn() if convolves else small_model()
    model.compile("adam", never_nine, metrics=["accuracy"])
    fused, fit = trainers(model, data)
    assert fused._convolves == convolves
    spec, trial = replace(spec_of("a"), steps_per_epoch=5), TrialData.of_seed(data, 0)
    ours, theirs = (one.train(spec, trial) for one in (fused, fit))
    assert ours.test_score == pytest.approx(theirs.test_score, abs=2 / len(order))
    assert ours.test_score > 0.2


def test_an_optimizer_that_begins_at_the_weights_begins_at_those_that_were_drawn(digits):
    if not hasattr(keras.optimizers, "ScheduleFreeAdamW"):
        pytest.skip("this Keras has none")
    model = small_model()
    model.compile(
        keras.optimizers.ScheduleFreeAdamW(1e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    fused, fit = trainers(model, digits)
    for seed in (0, 1):
        spec, data = spec_of("a", seed=seed, rate=1e-3), TrialData.of_seed(digits, seed)
        assert_alike(*(one.train(spec, data) for one in (fused, fit)))
        drawn = fused._initial_weights(seed)[0]
        kernel = np.asarray(fused.model.get_layer("hidden").kernel)
        assert abs(kernel - drawn).max() < 0.05, "twenty steps away from what was drawn"
