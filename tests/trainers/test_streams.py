"""Trials on data that are passed over in every epoch."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from normcraft.data import find_source, from_arrays, from_source, load_dataset
from normcraft.surgery import StatisticsProbe
from normcraft.trainers import TrialData, ensure_compiled
from trials import small_model, spec_of, trainer_of, without_times

layers = keras.layers
ROWS = 200


def compiled_model(dropout: float) -> keras.Model:
    model = small_model(8, dropout)
    ensure_compiled(model, np.zeros(1, int))
    return model


class Batches:
    """Handwritten digits in batches of 25, another order at each pass where that is asked for."""

    def __init__(self, x, y, random=None):
        self.x, self.y, self.random = x, y, random

    def __len__(self):
        return len(self.y) // 25

    def __iter__(self):
        order = np.arange(len(self.y))
        if self.random is not None:
            order = self.random.permutation(order)
        for start in range(0, len(self.y), 25):
            rows = order[start : start + 25]
            yield self.x[rows], self.y[rows]


@pytest.fixture(scope="module")
def digits():
    data = load_dataset("digits")
    return data.x_train[:ROWS], data.y_train[:ROWS]


@pytest.fixture(scope="module")
def held(digits):
    return from_arrays(*digits, validation_data=digits)


@pytest.fixture(scope="module")
def streamed(digits):
    source = find_source(Batches(*digits))
    return from_source(source, validation_data=digits, memory_limit=0)


@pytest.mark.parametrize("steps", [None, 4])
def test_a_stream_trains_as_the_same_rows_in_their_order_do(held, streamed, steps):
    """With 4 steps of 32 the second epoch goes on in the middle and begins the rows anew."""
    spec = spec_of("before_activation", steps_per_epoch=steps, shuffle=False)
    one, other = (
        trainer_of(compiled_model(0.3), "before_activation", data).train(
            spec, TrialData.of_seed(data, 0)
        )
        for data in (held, streamed)
    )
    assert other.outcome == "finished"
    for a, b in zip(one.curve, other.curve, strict=True):
        assert b.loss == pytest.approx(a.loss, rel=1e-4)
        assert b.validation_score == pytest.approx(a.validation_score, abs=0.011)
    assert other.chance_score == pytest.approx(one.chance_score)
    assert other.score == pytest.approx(one.score, abs=0.011)
    assert other.step_milliseconds > 0
    assert other.activations.keys() == one.activations.keys()


def test_a_streamed_trial_is_the_same_again(streamed):
    trainer = trainer_of(compiled_model(0.3), "before_activation", streamed)
    spec, data = spec_of("before_activation", steps_per_epoch=3), TrialData.of_seed(streamed, 0)
    assert without_times(trainer.train(spec, data)) == without_times(trainer.train(spec, data))


def test_statistics_over_batches_are_those_over_the_whole(digits):
    x, _ = digits
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.BatchNormalization()])
    StatisticsProbe(model).update(batch for batch in (x[:150], x[150:]))
    layer = model.layers[-1]
    for found, expected in ((layer.moving_mean, x.mean()), (layer.moving_variance, x.var())):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(found)[0], expected, rtol=1e-5)


def test_each_epoch_is_a_pass_of_its_own(digits):
    """Each epoch sees every row once, in the order of that pass."""
    random = np.random.default_rng(0)
    source = find_source(Batches(np.arange(ROWS)[:, None], digits[1], random))
    data = from_source(
        source, validation_data=(np.arange(ROWS)[:, None], digits[1]), memory_limit=0
    )
    spec = spec_of("none", batch_size=64, steps_per_epoch=None)
    passes = [
        np.concatenate([x[:, 0] for x, _ in each["x"]])
        for each in TrialData.of_seed(data, 0).epochs(spec)
    ]
    assert [sorted(rows) for rows in passes] == [list(range(ROWS))] * 2
    assert passes[0].tolist() != passes[1].tolist()
