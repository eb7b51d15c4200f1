"""Moving averages in every convention, and the two variances they may be of."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats

from normcraft.moments import reference

pytestmark = pytest.mark.any_backend

momenta = st.sampled_from([0.0, 0.5, 0.9, 0.99])
series = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20)


@given(series, st.floats(-10, 10), momenta)
def test_an_average_is_a_first_order_filter(values, initial, momentum):
    filtered, _ = signal.lfilter([1 - momentum], [1, -momentum], values, zi=[momentum * initial])
    actual = reference.moving_average(values, initial=initial, momentum=momentum)
    np.testing.assert_allclose(actual, filtered[-1], rtol=1e-12, atol=1e-9)


@given(st.integers(0, 500), momenta)
def test_the_initial_value_weighs_momentum_to_the_power_of_the_steps(steps, momentum):
    zeros = np.zeros(steps)
    left = reference.moving_average(zeros, initial=1.0, momentum=momentum)
    np.testing.assert_allclose(left, momentum**steps, rtol=1e-10)


@given(series, st.floats(-10, 10), momenta)
def test_a_debiased_average_is_the_weighted_mean_of_the_values_alone(values, initial, momentum):
    weights = momentum ** np.arange(len(values))[::-1].astype("float64")
    actual = reference.moving_average(values, initial=initial, momentum=momentum, debiased=True)
    np.testing.assert_allclose(actual, np.average(values, weights=weights), rtol=1e-9, atol=1e-7)


@given(series)
def test_a_debiased_average_from_zero_is_that_of_adam(values):
    first = reference.moving_average(values, initial=0.0, momentum=0.9)
    actual = reference.moving_average(values, initial=0.0, momentum=0.9, debiased=True)
    np.testing.assert_allclose(actual, first / (1 - 0.9 ** len(values)), rtol=1e-12)


@given(series, st.booleans())
def test_without_momentum_every_value_weighs_the_same(values, debiased):
    actual = reference.moving_average(values, initial=99.0, momentum=None, debiased=debiased)
    np.testing.assert_allclose(actual, np.mean(values), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("momentum", [0.9, None])
@pytest.mark.parametrize("debiased", [False, True])
def test_without_steps_the_average_is_the_initial_value(momentum, debiased):
    empty, initial = np.zeros((0, 2)), [1.0, 2.0]
    actual = reference.moving_average(empty, initial=initial, momentum=momentum, debiased=debiased)
    assert actual.tolist() == initial


def test_averages_of_channels_are_kept_apart():
    actual = reference.moving_average([[1.0, 10.0], [3.0, 30.0]], initial=[0.0, 8.0], momentum=0.5)
    assert actual.tolist() == [1.75, 19.5]


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20))
def test_the_unbiased_variance_is_that_of_a_sample(values):
    actual = reference.unbiased(np.var(values), len(values))
    np.testing.assert_allclose(actual, statistics.variance(values), rtol=1e-9, atol=1e-12)


def test_batch_normalization_without_epsilon_is_the_standard_score_of_scipy():
    x = np.random.default_rng(0).normal(5, 3, (9, 4))
    actual = reference.batch_norm(x, epsilon=0.0).y
    np.testing.assert_allclose(actual, stats.zscore(x, axis=0), rtol=1e-12, atol=1e-12)


def test_a_standard_deviation_that_holds_less_than_epsilon_gives_the_variance_zero():
    averages = reference.RenormAverages(*np.array([[0.0], [1.0], [0.0], [0.5]]))
    assert averages.moving_variance(epsilon=0.125) == 0.125
    assert averages.moving_variance(epsilon=0.5) == 0.0
