import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from normcraft._core.errors import InputError
from normcraft.studies.selection import chosen_rates, chosen_values

quick = settings(max_examples=60, deadline=None)
# Whole numbers: sums are exact, so that a plain loop must agree to the last tie.
whole = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=5),
    elements=st.integers(-4, 4),
)


def by_hand(scores):
    chosen = []
    for seed in range(len(scores)):
        others = [row for index, row in enumerate(scores.tolist()) if index != seed]
        sums = [sum(column) for column in zip(*others, strict=True)]
        chosen.append(sums.index(max(sums)))
    return chosen


@quick
@given(whole)
def test_each_seed_takes_the_rate_that_the_others_prefer(scores):
    assert chosen_rates(scores).tolist() == by_hand(scores)


@quick
@given(whole, st.integers(0, 4), st.integers(-9, 9))
def test_a_seeds_own_scores_do_not_choose_its_rate(scores, seed, score):
    seed %= len(scores)
    changed = scores.copy()
    changed[seed, 0] = score
    assert chosen_rates(changed)[seed] == chosen_rates(scores)[seed]


@quick
@given(whole, st.permutations(range(5)))
def test_order_of_seeds_does_not_matter(scores, order):
    order = [seed for seed in order if seed < len(scores)]
    np.testing.assert_array_equal(chosen_rates(scores[order]), chosen_rates(scores)[order])


@quick
@given(whole, st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_shift_and_scale_choose_alike(scores, shift, scale):
    np.testing.assert_array_equal(chosen_rates(scores * scale + shift), chosen_rates(scores))


def test_leading_axes_are_independent_sets():
    scores = np.random.default_rng(0).normal(size=(3, 4, 5, 2))
    apart = [[chosen_rates(one) for one in row] for row in scores]
    np.testing.assert_array_equal(chosen_rates(scores), apart)


def test_ties_within_rounding_go_to_the_first():
    scores = np.array([[0.3, 0.1 + 0.2], [0.3, 0.1 + 0.2], [0.3, 0.1 + 0.2]])
    assert chosen_rates(scores).tolist() == [0, 0, 0]


def test_a_single_seed_takes_its_own_best():
    assert chosen_rates(np.array([[0.1, 0.3, 0.2]])).tolist() == [1]


def test_chosen_values_are_the_scores_at_the_chosen_rates():
    scores = np.array([[9.0, 1.0], [0.0, 5.0], [0.0, 5.0]])
    # Seed 0 is told 1 by the others; seeds 1 and 2 are told 0, by the lucky seed 0.
    assert chosen_values(scores).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("shape", [(3,), (0, 2), (3, 0)])
def test_scores_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(InputError, match=r"scores cannot be compared.*\(seeds, learning_rates\)"):
        chosen_rates(np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(value):
    with pytest.raises(InputError, match=r"a score is not a finite number.*leave out the seeds"):
        chosen_rates(np.array([[0.5, value]]))
