import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normcraft.moments import combine_moments
from tolerances import assert_close

sizes = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def parts(sizes, channels, offset, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.normal(offset + i, 1 + i, (size, channels)) for i, size in enumerate(sizes)]


@given(sizes, st.integers(1, 4), st.sampled_from([0.0, 1e3, -1e6]))
def test_combined_moments_are_those_of_the_whole(sizes, channels, offset):
    batches = parts(sizes, channels, offset)
    means, variances = ([f(b, axis=0) for b in batches] for f in (np.mean, np.var))
    mean, variance = combine_moments(np.array(sizes), np.array(means), np.array(variances))
    whole = np.concatenate(batches)
    assert_close(mean, whole.mean(axis=0), "float64")
    np.testing.assert_allclose(variance, whole.var(axis=0), rtol=1e-9, atol=1e-12)


@given(sizes)
def test_counts_may_differ_by_channel(sizes):
    batches = parts(sizes, 2, 3.0)
    counts = np.array([[size, 1] for size in sizes])
    means = np.array([[b[:, 0].mean(), b[0, 1]] for b in batches])
    variances = np.array([[b[:, 0].var(), 0.0] for b in batches])
    mean, variance = combine_moments(counts, means, variances)
    first = np.concatenate([b[:, 0] for b in batches])
    second = np.array([b[0, 1] for b in batches])
    np.testing.assert_allclose(mean, [first.mean(), second.mean()])
    np.testing.assert_allclose(variance, [first.var(), second.var()], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 3)])
def test_every_shape_of_counts_weighs_the_same(shape):
    counts = np.broadcast_to(np.array([1.0, 3.0]).reshape(2, *[1] * (len(shape) - 1)), shape)
    means = np.array([[0.0, 1, 2], [4, 5, 6]])
    mean, variance = combine_moments(counts, means, np.zeros((2, 3)))
    np.testing.assert_allclose(mean, [3, 4, 5])
    np.testing.assert_allclose(variance, [3, 3, 3])


def test_a_batch_of_nothing_counts_for_nothing():
    mean, variance = combine_moments(np.array([[4.0], [0.0]]), [[2.0], [9.0]], [[1.0], [9.0]])
    assert (mean, variance) == (2.0, 1.0)
