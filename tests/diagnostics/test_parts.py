"""The parts of explain alone: distributions, warm-up, shift; each against NumPy or SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import wasserstein_distance

from normcraft._core.errors import InputError
from normcraft.diagnostics import Distribution
from normcraft.diagnostics.counts import check_count
from normcraft.diagnostics.shift import Record, moved
from normcraft.diagnostics.steps import channel_moments
from normcraft.diagnostics.warm_up import initial_weight, settled_step

pytestmark = pytest.mark.any_backend
values = st.floats(-1e6, 1e6, width=32)


@given(arrays("float32", st.integers(1, 300), elements=values))
def test_a_distribution_holds_every_value_once(x):
    found = Distribution.of(x)
    wide = x.astype("float64")
    assert found.mean == pytest.approx(wide.mean(), abs=1e-6 * np.abs(wide).max() + 1e-12)
    assert found.std == pytest.approx(wide.std(), abs=1e-6 * np.abs(wide).max() + 1e-12)
    assert sum(found.counts) + found.below + found.above == x.size
    assert found.quantiles == pytest.approx(np.quantile(wide, (0, 0.01, 0.15, 0.5, 0.85, 0.99, 1)))
    assert found.counts == tuple(np.histogram(wide, 40, (found.low, found.high))[0])


def test_what_is_not_finite_is_counted_apart():
    found = Distribution.of(np.array([1.0, np.nan, 3.0, np.inf]))
    assert (found.mean, found.std, found.not_finite) == (2.0, 1.0, 2)
    assert Distribution.of(np.array([np.nan])) is None


def test_large_arrays_are_sampled_evenly_over_channels():
    x = np.tile(np.arange(64, dtype="float32"), 40_000)
    found = Distribution.of(x)
    assert found.mean == pytest.approx(31.5)
    assert found.quantiles[3] == pytest.approx(31.5, abs=0.51)
    assert found.quantiles[2] == pytest.approx(np.quantile(x, 0.15), abs=1)


@given(st.floats(0.01, 0.9999))
def test_initial_values_fall_under_one_percent_at_the_settled_step(momentum):
    step = settled_step(momentum)
    assert initial_weight(momentum, step) < 0.01 <= initial_weight(momentum, step - 1)


def test_moments_far_from_zero_lose_no_digits():
    x = (np.random.default_rng(0).normal(size=(500, 3)) + 1e4).astype("float32")
    mean, variance, count = channel_moments(x, None, -1)
    wide = x.astype("float64")
    assert mean == pytest.approx(wide.mean(0), rel=1e-12)
    assert variance == pytest.approx(wide.var(0), rel=1e-9)
    assert count == 500


@given(st.integers(0, 2**32), st.integers(2, 30), st.integers(1, 4))
def test_the_distance_is_that_of_scipy(seed, rows, channels):
    generator = np.random.default_rng(seed)
    before = generator.normal(size=(rows, channels)) * generator.uniform(0.1, 9, channels)
    after = generator.normal(1, 2, (rows, channels))
    pairs = zip(before.T, after.T, strict=True)
    expected = np.mean([wasserstein_distance(a, b) / a.std() for a, b in pairs])
    assert moved(before, after) == pytest.approx(expected)


def test_channels_that_did_not_vary_are_left_out():
    before = np.array([[0.0, 1.0], [0.0, -1.0]])
    assert moved(before, before + np.array([7.0, 0.5])) == pytest.approx(0.5)
    assert moved(np.zeros((2, 1)), np.ones((2, 1))) == 0
    assert np.isnan(moved(np.full((2, 1), np.nan), np.ones((2, 1))))


def test_a_course_has_a_state_more_than_steps():
    record = Record()
    states = [np.random.default_rng(i).normal(i, 1 + i, (50, 2)) for i in range(3)]
    for state in states:
        record.add(state)
    found = record.course
    assert found.mean == pytest.approx([state.mean() for state in states])
    assert found.std == pytest.approx([state.std() for state in states])
    for name, level in (("low", 0.15), ("middle", 0.5), ("high", 0.85)):
        expected = [np.quantile(state, level) for state in states]
        assert getattr(found, name) == pytest.approx(expected)
    assert len(found.moved) == 2
    assert found.total == pytest.approx(sum(found.moved))


@pytest.mark.parametrize("value", [-1, 2.0, True, "3", None])
def test_what_is_no_count_is_refused(value):
    with pytest.raises(InputError, match="rows: received .*, expected a whole number, 0 or more"):
        check_count(value, "rows")
