"""Trials by `Model.fit`: paired, repeatable, and judged on re-estimated statistics."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from normcraft._core.errors import InputError
from normcraft.data import batch_order, from_arrays, load_dataset
from normcraft.records import TrialRecord
from normcraft.surgery import place
from normcraft.trainers import TrialData, ensure_compiled
from normcraft.trainers.optimizer import learning_rate_of, scaled_schedule
from trials import spec_of, trainer_of, without_times

layers = keras.layers


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def model(digits):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Flatten(name="flatten"),
            layers.Dense(16, "relu", name="hidden"),
            layers.Dropout(0.3, name="dropout"),
            layers.Dense(10, "softmax", name="head"),
        ],
        name="small",
    )
    ensure_compiled(model, digits.y_train)
    return model


@pytest.fixture(scope="module")
def trainer(model, digits):
    return trainer_of(model, "before_activation", digits)


def test_a_trial_is_the_same_after_other_trials_on_the_same_model(trainer, digits):
    spec, data = spec_of("before_activation"), TrialData.of_seed(digits, 0)
    first = trainer.train(spec, data)
    other = trainer.train(
        spec_of("before_activation", seed=3, rate=0.1), TrialData.of_seed(digits, 3)
    )
    again = trainer.train(spec, data)
    assert without_times(first) == without_times(again)
    assert other.curve[0].loss != first.curve[0].loss


def test_a_diverged_trial_is_a_record_and_leaves_no_trace_in_the_next(trainer, digits):
    spec, data = spec_of("before_activation"), TrialData.of_seed(digits, 0)
    first = trainer.train(spec, data)
    diverged = trainer.train(spec_of("before_activation", rate=1e38), data)
    assert diverged.outcome == "diverged"
    assert "no longer finite" in diverged.reason
    assert diverged.score is None
    assert len(diverged.curve) == 1
    assert without_times(trainer.train(spec, data)) == without_times(first)


def test_arms_that_differ_in_name_alone_give_the_same_record(model, digits):
    data = TrialData.of_seed(digits, 1)
    records = [
        trainer_of(model, placement, digits).train(spec_of("none", seed=1), data)
        for placement in ("none", "as_given")
    ]
    assert without_times(records[0]) == without_times(records[1])


def watched(trainer, spec, data, variables):
    """Trains, and returns what each call of `fit` saw: inputs, and variables by name."""
    seen = []
    fit = trainer.model.fit

    def watching(x, y, **arguments):
        values = {
            f"{layer.name}/{v.name}": keras.ops.convert_to_numpy(v).copy()
            for layer in trainer.model.layers
            for v in layer.variables
            if v.name in variables
        }
        seen.append((x.copy(), values))
        return fit(x, y, **arguments)

    trainer.model.fit = watching
    trainer.train(spec, data)
    trainer.model.fit = fit
    return seen


def test_arms_share_batches_weights_and_the_dropout_stream(model, digits):
    data = TrialData.of_seed(digits, 5)
    names = {"kernel", "seed_generator_state"}
    plain, normalized = (
        watched(trainer_of(model, arm, digits), spec_of(arm, seed=5), data, names)
        for arm in ("none", "before_activation")
    )
    for (x, values), (other_x, other_values) in zip(plain, normalized, strict=True):
        np.testing.assert_array_equal(x, other_x)
        key = "dropout/seed_generator_state"
        np.testing.assert_array_equal(values[key], other_values[key])
    np.testing.assert_array_equal(plain[0][1]["hidden/kernel"], normalized[0][1]["hidden/kernel"])
    assert not np.array_equal(plain[0][0], plain[1][0]), "epochs must differ in their batches"
    key = "dropout/seed_generator_state"
    assert not np.array_equal(plain[0][1][key], plain[1][1][key])


def test_all_steps_asked_for_are_trained_and_the_last_partial_batch_too(trainer, digits):
    data = TrialData.of_seed(digits, 0)
    for steps, expected in ((10, 20), (None, 2 * -(-data.num_samples // 32))):
        trainer.train(spec_of("before_activation", steps_per_epoch=steps), data)
        assert int(trainer.model.optimizer.iterations) == expected


@pytest.mark.parametrize("steps", [None, 5])
def test_scores_are_those_of_population_statistics(trainer, digits, steps):
    """One normalized layer on the data itself: its statistics are plain means and variances."""
    data = TrialData.of_seed(digits, 2)
    record = trainer.train(spec_of("before_activation", seed=2, steps_per_epoch=steps), data)
    seen = data.rows
    if steps is not None:  # two epochs of as many different samples
        everything = batch_order(
            len(data.rows), batch_size=32, steps=None, seed=2, epoch=0, shuffle=True
        )
        seen = data.rows[everything[: 2 * steps * 32]]
        assert len(set(seen)) == 2 * steps * 32 < len(data.rows)
    x = digits.x_train[seen]
    kernel = keras.ops.convert_to_numpy(trainer.model.get_layer("hidden").kernel).astype("float64")
    inputs = x.reshape(len(x), -1).astype("float64") @ kernel
    normalization = trainer.model.get_layer("hidden_batch_normalization")
    mean, variance = (
        keras.ops.convert_to_numpy(v)
        for v in (normalization.moving_mean, normalization.moving_variance)
    )
    np.testing.assert_allclose(mean, inputs.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, inputs.var(0), rtol=1e-5)
    predicted = trainer.model.predict(data.x_validation, verbose=0).argmax(-1)
    assert record.score == pytest.approx(np.mean(predicted == data.y_validation), abs=1e-9)
    assert record.score_as_trained == record.curve[-1].validation_score


def test_test_data_are_reported(model, digits):
    dataset = replace(digits, x_test=digits.x_train[:100], y_test=digits.y_train[:100])
    trainer = trainer_of(model, "none", digits)
    record = trainer.train(spec_of("none"), TrialData.of_seed(dataset, 0))
    predicted = trainer.model.predict(dataset.x_test, verbose=0).argmax(-1)
    assert record.test_score == pytest.approx(np.mean(predicted == dataset.y_test), abs=1e-9)


def test_weights_can_be_kept(model, digits):
    before = [keras.ops.convert_to_numpy(v) for v in place(model, "none").model.variables]
    trainer = trainer_of(model, "none", digits, initial=before)
    seen = []
    for seed in (0, 1):
        watch = watched(
            trainer, spec_of("none", seed=seed), TrialData.of_seed(digits, seed), {"kernel"}
        )
        seen.append(watch[0][1]["hidden/kernel"])
    np.testing.assert_array_equal(seen[0], before[0])
    np.testing.assert_array_equal(seen[1], before[0])


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_schedule_serves_several_initial_rates(digits, wrapped):
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10, "softmax")]
    )
    optimizer = keras.optimizers.SGD(keras.optimizers.schedules.InverseTimeDecay(0.1, 1, 1e-3))
    if wrapped:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    trainer, data = trainer_of(model, "none", digits), TrialData.of_seed(digits, 0)
    slow, fast, slow_again = (
        trainer.train(spec_of("none", rate=rate), data) for rate in (0.001, 0.1, 0.001)
    )
    assert without_times(slow) == without_times(slow_again)
    assert fast.curve[0].loss < slow.curve[0].loss


def test_activations_are_summarised(trainer, digits):
    record = trainer.train(spec_of("before_activation"), TrialData.of_seed(digits, 0))
    summary = record.activations["hidden_activation"]
    assert 0 < summary["zero"] < 1
    assert summary["std"] > 0


def test_a_record_survives_json(trainer, digits):
    record = trainer.train(spec_of("before_activation"), TrialData.of_seed(digits, 0))
    assert TrialRecord.from_json(record.to_json()) == record


def test_averaged_weights_take_their_place_when_training_ends_and_not_before(digits):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Flatten(name="flatten"),
            layers.Dense(16, use_bias=False, name="hidden"),
            layers.BatchNormalization(name="normalization"),
            layers.Dense(10, "softmax", name="head"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.SGD(0.1, use_ema=True), loss, metrics=["accuracy"])
    few = from_arrays(
        digits.x_train[:320], digits.y_train[:320],
        validation_data=(digits.x_train[320:640], digits.y_train[320:640]),
    )  # fmt: skip
    trainer, data = trainer_of(model, "as_given", few), TrialData.of_seed(few, 0)
    spec = spec_of("a", rate=0.1, epochs=3, steps_per_epoch=None, shuffle=False)
    record = trainer.train(spec, data)
    model.set_weights(trainer._initial_weights(0))
    history = model.fit(
        few.x_train, few.y_train, batch_size=32, epochs=3, shuffle=False, verbose=0,
        validation_data=(few.x_validation, few.y_validation),
    ).history  # fmt: skip
    losses = [point.validation_loss for point in record.curve]
    np.testing.assert_allclose(losses, history["val_loss"], rtol=1e-4)
    for name in ("hidden", "head"):
        found, wanted = (
            keras.ops.convert_to_numpy(one.get_layer(name).kernel) for one in (trainer.model, model)
        )
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)
    judged = trainer.model.evaluate(few.x_validation, few.y_validation, verbose=0)
    assert record.loss == pytest.approx(judged[0], rel=1e-4)
    assert record.score_as_trained == pytest.approx(history["val_accuracy"][-1], abs=0.01)


def test_several_learning_rates_at_once_are_refused_in_one_line():
    if not hasattr(keras.optimizers, "MultiOptimizer"):
        pytest.skip("this Keras has none")
    several = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(keras.optimizers.SGD(), {"a.*": keras.optimizers.Adam()})
    )
    with pytest.raises(InputError, match="no learning rate of its own.*MultiOptimizer"):
        learning_rate_of(several)


def test_a_schedule_is_scaled_as_a_whole_and_named_by_its_largest_rate():
    schedules = keras.optimizers.schedules
    warming = schedules.CosineDecay(0.0, 20, warmup_target=0.01, warmup_steps=5)
    for schedule, rate in (
        (warming, 0.01),
        (schedules.PolynomialDecay(0.1, 10, 0.001), 0.1),
        (schedules.PiecewiseConstantDecay([5, 9], [0.1, 0.3, 0.01]), 0.3),
        (schedules.ExponentialDecay(0.05, 10, 0.5), 0.05),
    ):
        assert learning_rate_of(keras.optimizers.SGD(schedule)) == rate
        doubled = scaled_schedule(schedule, 2.0)
        for step in (0, 3, 7, 30):
            assert float(doubled(step)) == pytest.approx(2 * float(schedule(step)), rel=1e-5)
