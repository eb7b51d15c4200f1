"""Moments of batches merged as they come, against NumPy on everything at once."""

import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from normcraft.surgery.running_moments import MOST_ROWS, RunningMoments


def rows_of(batches):
    """Counts, means in two parts and variances of one call, a row a batch."""
    counts = [[len(part)] * part.shape[1] for part in batches]
    means, variances = ([f(part, axis=0) for part in batches] for f in (np.mean, np.var))
    first = np.array(means, "float32").astype("float64")
    return [np.array(values, "float64") for values in (counts, first, means - first, variances)]


def parts(sizes, offset, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.normal(offset + n % 7, 1 + n % 3, (size, 2)) for n, size in enumerate(sizes)]


@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=30),
    together=st.integers(1, 5),
    offset=st.sampled_from([0.0, 1e3, -1e6]),
)
def test_the_whole_population_however_it_comes(sizes, together, offset):
    batches = parts(sizes, offset)
    running = RunningMoments([0])
    for start in range(0, len(batches), together):
        running.add(rows_of(batches[start : start + together]))
    (mean, variance), whole = running.moments[0], np.concatenate(batches)
    np.testing.assert_allclose(mean, whole.mean(axis=0), rtol=1e-13, atol=1e-12)
    np.testing.assert_allclose(variance, whole.var(axis=0), rtol=1e-9, atol=1e-12)
    assert running.counts == [sum(sizes)]


def test_more_batches_than_are_held_are_the_same_population():
    batches = parts([3] * (3 * MOST_ROWS + 5), 1e4)
    running = RunningMoments([0])
    for part in batches:
        running.add(rows_of([part]))
    (mean, variance), whole = running.moments[0], np.concatenate(batches)
    np.testing.assert_allclose(mean, whole.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(variance, whole.var(axis=0), rtol=1e-9)
    assert running.counts == [len(whole)]


def test_asking_in_between_changes_nothing():
    batches, asked, left = parts([4, 5, 6], 10), RunningMoments([0]), RunningMoments([0])
    for part in batches:
        asked.add(rows_of([part]))
        assert np.isfinite(asked.moments).all()
        left.add(rows_of([part]))
    np.testing.assert_allclose(asked.moments, left.moments, rtol=1e-14)


def test_calls_of_one_layer_are_one_population_and_layers_stay_apart():
    low, high, other = (parts([5, 7], offset, seed=s) for s, offset in enumerate((-10, 10, 3)))
    running = RunningMoments([0, 1, 0])
    for one, two, three in zip(low, other, high, strict=True):
        running.add([*rows_of([one]), *rows_of([two]), *rows_of([three])])
    shared, alone = running.moments
    both = np.concatenate([*low, *high])
    np.testing.assert_allclose(shared, (both.mean(axis=0), both.var(axis=0)))
    whole = np.concatenate(other)
    np.testing.assert_allclose(alone, (whole.mean(axis=0), whole.var(axis=0)))
    assert running.counts == [24, 12]


def test_counts_beyond_float32_keep_their_weight():
    running = RunningMoments([0])
    for mean, count in ((0.0, 2.0**40), (3.0, 2.0**39)):
        running.add([np.array([[value]]) for value in (count, mean, 0.0, 0.0)])
    np.testing.assert_allclose(running.moments[0], [[1.0], [2.0]])
    assert running.counts == [2.0**40 + 2.0**39]


def test_batches_of_nothing_count_for_nothing_wherever_they_come():
    nothing = [np.zeros((1, 2))] * 4
    whole = parts([6], 4)
    running = RunningMoments([0])
    running.add(nothing)
    assert running.counts == [0]
    assert np.isnan(running.moments).all()
    running.add(rows_of(whole))
    running.add(nothing)
    np.testing.assert_allclose(running.moments[0], (whole[0].mean(axis=0), whole[0].var(axis=0)))


def test_no_layers_have_no_moments():
    running = RunningMoments([])
    running.add([])
    assert running.moments == running.counts == []


def test_memory_does_not_grow_with_the_number_of_batches():
    rows = [np.ones((1, 500))] * 2 + [np.zeros((1, 500))] * 2

    def held(number):
        running = RunningMoments([0])
        tracemalloc.start()
        for _ in range(number):
            running.add([value.copy() for value in rows])
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert held(6 * MOST_ROWS) < 1.1 * held(2 * MOST_ROWS)


@given(st.lists(st.floats(-1e150, 1e150), min_size=1, max_size=5))
@settings(max_examples=30)
def test_what_is_not_finite_stays_so(values):
    running = RunningMoments([0])
    for value in [*values, np.inf]:
        running.add([np.array([[number]]) for number in (2.0, value, 0.0, 0.0)])
    assert not np.isfinite(running.moments).all()
