"""What moves in training, with normalization and without."""

from __future__ import annotations

from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy.stats import wasserstein_distance

from normcraft._core.errors import InputError
from normcraft.data import from_arrays
from normcraft.diagnostics import measure_shift
from strategies import untouched
from tolerances import assert_close

pytestmark = pytest.mark.skipif(keras.backend.backend() == "numpy", reason="NumPy does not train")
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(32, 4)).astype("float32")
DATA = from_arrays(X, RANDOM.integers(0, 3, 32))


def plain() -> keras.Model:
    keras.utils.set_random_seed(1)
    chain = [keras.Input((4,)), layers.Dense(6, "tanh", name="a"), layers.Dense(5, name="b")]
    chain += [layers.ReLU(), layers.Dense(3, "softmax", name="head")]
    model = keras.Sequential(chain)
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    return model


def linear(model) -> np.ndarray:
    kernel, bias = (ops.convert_to_numpy(w).astype("float64") for w in model.layers[0].weights)
    return X.astype("float64") @ kernel + bias


def test_without_normalization_it_is_what_training_by_hand_gives():
    model, steps = plain(), 3
    with untouched(model):
        found = measure_shift(model, DATA, steps=steps)
    assert [(one.name, one.site) for one in found] == [
        ("a_batch_normalization", "a"),
        ("b_batch_normalization", "b"),
    ]
    # All 32 rows are one batch, so that their order does not matter but for rounding.
    states = [linear(model)]
    for _ in range(steps):
        model.train_on_batch(X, DATA.y_train)
        states.append(linear(model))
    course = found[0].without
    assert_close(course.mean, [state.mean() for state in states])
    assert_close(course.std, [state.std() for state in states])
    for name, level in (("low", 0.15), ("middle", 0.5), ("high", 0.85)):
        assert_close(getattr(course, name), [np.quantile(state, level) for state in states])
    expected = [
        np.mean([wasserstein_distance(p, q) / p.std() for p, q in zip(a.T, b.T, strict=True)])
        for a, b in pairwise(states)
    ]
    assert course.moved == pytest.approx(expected, rel=1e-3)
    normalized = found[0].with_normalization
    assert normalized.mean == pytest.approx((0.0,) * 4, abs=0.2)
    assert normalized.std[0] == pytest.approx(1, abs=0.1)
    assert normalized.moved != course.moved


def test_normalization_that_is_there_is_compared_with_its_removal():
    keras.utils.set_random_seed(1)
    chain = [keras.Input((4,)), layers.BatchNormalization(name="first"), layers.Dense(6, name="a")]
    chain += [layers.BatchNormalization(name="n"), layers.ReLU(), layers.Dense(3, name="head")]
    model = keras.Sequential(chain)
    with untouched(model):
        found = measure_shift(model, DATA, steps=2)
    assert [one.name for one in found] == ["first", "n"]
    first, second = found
    # Without it, the data themselves stand there.
    assert first.without.moved == (0.0, 0.0)
    assert_close(first.without.std, [X.astype("float64").std()] * 3)
    assert second.site == "a"
    assert [one.name for one in measure_shift(model, DATA, steps=1, layer="a")] == ["n"]


def test_a_layer_without_normalization_behind_it_is_refused():
    chain = [keras.Input((4,)), layers.Dense(6, name="a"), layers.BatchNormalization()]
    model = keras.Sequential([*chain, layers.Dense(5, name="head"), layers.Dense(3)])
    with pytest.raises(InputError, match="nothing to train with and without: received 'head'"):
        measure_shift(model, DATA, steps=1, layer="head")
    with pytest.raises(InputError, match="unknown layer: received 'c'"):
        measure_shift(plain(), DATA, steps=1, layer="c")


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="labels do not fit the model's output"):
        measure_shift(plain(), from_arrays(X, np.full(32, 7)), steps=1)


def test_a_stream_is_refused():
    from dataclasses import replace

    with pytest.raises(InputError, match="the shift cannot be measured on a stream"):
        measure_shift(plain(), replace(DATA, stream=object()), steps=1)
