from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from flips import interval, p_value
from normcraft._core.errors import InputError
from normcraft.studies.selection import chosen_values
from normcraft.studies.signflip import mean_interval, pairs_needed

quick = settings(max_examples=60, deadline=None)
levels = st.sampled_from([0.05, 0.025, 0.05 / 3, 0.1, 0.3])


@st.composite
def paired_scores(draw, elements, least=1):
    shape = draw(st.integers(least, 8)), draw(st.integers(1, 3))
    return draw(arrays(np.float64, shape, elements=elements)), draw(
        arrays(np.float64, shape, elements=elements)
    )


# Tenths: full of ties, none of which survives rounding untouched.
tenths = st.integers(-3, 3).map(lambda count: count / 10)
coarse = paired_scores(tenths)
continuous = paired_scores(st.floats(-1, 1, allow_subnormal=False))
either = st.one_of(coarse, continuous)


def p_by_hand(a, b, shift=0.0):
    """Every flip, in a plain loop, rates chosen anew; ties are plain where scores are."""

    def statistic(signs):
        swap = np.array(signs)[:, None] < 0
        one, other = np.where(swap, b, a - shift), np.where(swap, a - shift, b)
        return chosen_values(one).sum() - chosen_values(other).sum()

    values = [statistic(signs) for signs in product((1, -1), repeat=len(a))]
    return np.mean(np.abs(values) >= abs(values[0]) - 1e-9)


@quick
@given(coarse)
def test_p_is_the_share_of_all_flips(pair):
    assert p_value(*pair) == p_by_hand(*pair)


@pytest.mark.parametrize(("pairs", "rates"), [(7, 1), (8, 3), (5, 6)])
def test_p_is_the_share_of_all_flips_without_ties(pairs, rates):
    a, b = np.random.default_rng(pairs).normal(size=(2, pairs, rates))
    assert p_value(a, b) == p_by_hand(a, b)


@quick
@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_one_learning_rate_is_the_classical_test(pairs, seed):
    differences = np.random.default_rng(seed).normal(0.4, size=pairs)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    found = p_value(differences[:, None], np.zeros((pairs, 1)))
    assert found == pytest.approx(expected.pvalue, abs=1e-12)


def test_six_wins_of_six_are_worth_two_in_sixty_four():
    assert p_value(np.arange(1.0, 7.0)[:, None], np.zeros((6, 1))) == 2 / 64


def test_one_loss_by_the_least_is_worth_four_in_sixty_four():
    differences = np.array([[-1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])
    assert p_value(differences, np.zeros((6, 1))) == 4 / 64


def test_equal_arms_do_not_differ():
    scores = np.random.default_rng(0).normal(size=(8, 3))
    assert p_value(scores, scores) == 1
    assert interval(scores, scores) == (0.0, 0.0)


def test_ties_by_rounding_count_as_ties():
    tenths = np.random.default_rng(0).integers(-3, 4, size=(2, 50, 8, 1))
    for a, b in zip(*tenths, strict=True):
        assert p_value(a / 10, b / 10) == p_value(a, b) == p_by_hand(a, b)


def test_a_tie_by_rounding_at_zero_is_left_in_the_interval():
    tenths = np.random.default_rng(0).integers(-1, 3, size=(2, 300, 8, 1)) / 10
    for a, b in zip(*tenths, strict=True):
        low, high = interval(a, b)
        assert (low <= 0 <= high) == (p_value(a, b) > 0.05)


@quick
@given(either, levels)
def test_interval_excludes_zero_exactly_where_the_test_rejects(pair, level):
    found = interval(*pair, level=level)
    rejected = p_value(*pair) <= level
    if found is None:
        assert not rejected
        assert pairs_needed(level) > len(pair[0])
    else:
        assert rejected != (found[0] <= 0 <= found[1])


@quick
@given(paired_scores(tenths, least=6), st.integers(-30, 30), levels)
def test_interval_holds_exactly_the_shifts_that_are_not_rejected(pair, shift, level):
    a, b = pair
    found = interval(a, b, level=level)
    if found is not None and min(abs(shift / 50 - end) for end in found) > 1e-6:
        assert (found[0] <= shift / 50 <= found[1]) == (p_by_hand(a, b, shift / 50) > level)


@quick
@given(either, levels)
def test_swapping_the_arms_mirrors_the_interval(pair, level):
    a, b = pair
    assert p_value(a, b) == p_value(b, a)
    found, mirrored = interval(a, b, level=level), interval(b, a, level=level)
    assert (found is None) == (mirrored is None)
    if found and mirrored:
        assert mirrored == pytest.approx((-found[1], -found[0]), abs=1e-12)


@quick
@given(coarse, st.integers(-100, 100), st.sampled_from([0.01, 1 / 3, 7.0]), levels)
def test_common_shift_changes_nothing_and_scale_goes_through(pair, shift, scale, level):
    a, b = pair
    moved = scale * a + shift, scale * b + shift
    assert p_value(*moved) == p_value(a, b)
    found, scaled = interval(a, b, level=level), interval(*moved, level=level)
    if found and scaled:
        assert scaled == pytest.approx((scale * found[0], scale * found[1]))


@quick
@given(coarse, st.integers(-10, 10), levels)
def test_shift_of_one_arm_moves_the_interval(pair, shift, level):
    a, b = pair
    found, moved = interval(a, b, level=level), interval(a + shift, b, level=level)
    if found and moved:
        assert moved == pytest.approx((found[0] + shift, found[1] + shift))


@quick
@given(coarse, st.randoms(use_true_random=False), levels)
def test_order_of_seeds_does_not_matter(pair, random, level):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    shuffled = pair[0][order], pair[1][order]
    assert p_value(*shuffled) == p_value(*pair)
    assert interval(*shuffled, level=level) == pytest.approx(interval(*pair, level=level))


@quick
@given(continuous)
def test_interval_holds_the_difference_and_narrows_with_the_level(pair):
    a, b = pair
    difference = chosen_values(a).mean() - chosen_values(b).mean()
    found = [interval(a, b, level=level) for level in (0.02, 0.05, 0.2)]
    found = [one for one in found if one]
    assert all(low - 1e-12 <= difference <= high + 1e-12 for low, high in found)
    assert all(wide[0] <= narrow[0] <= narrow[1] <= wide[1] for wide, narrow in pairwise(found))


def test_six_pairs_span_from_the_least_to_the_largest_difference():
    # At 0.05 one flip of 32 may be rejected: the identity. The next flips isolate one seed each.
    differences = np.array([[2.0], [7.0], [1.0], [8.0], [2.0], [8.0]])
    assert interval(differences, np.zeros((6, 1))) == (1.0, 8.0)


@pytest.mark.parametrize("offset", [0.0, 0.02, -3.0])
def test_equal_differences_have_an_interval_of_no_width(offset):
    scores = np.linspace(0.5, 0.9, 7)[:, None]
    assert interval(scores + offset, scores) == pytest.approx((offset, offset))


def test_a_rate_at_chance_for_every_seed_changes_nothing():
    random = np.random.default_rng(3)
    a, b = random.normal(0.8, 0.05, size=(2, 8, 1))
    chance = np.full((8, 1), 0.1)
    with_chance = np.hstack([chance, a]), np.hstack([chance, b])
    assert p_value(*with_chance) == p_value(a, b)
    assert interval(*with_chance) == pytest.approx(interval(a, b))


@pytest.mark.parametrize("pairs", range(1, 6))
def test_under_six_pairs_there_is_no_interval(pairs):
    assert interval(np.ones((pairs, 1)), np.zeros((pairs, 1))) is None
    assert mean_interval(np.ones(pairs)) is None


def test_interval_of_a_mean_agrees_with_the_one_sample_test():
    values = np.random.default_rng(4).normal(1, 1, size=9)
    low, high = mean_interval(values)

    def p(centre):
        return stats.permutation_test(
            (values - centre,), np.mean, permutation_type="samples", n_resamples=np.inf
        ).pvalue

    step = 1e-6
    assert min(p(low + step), p(high - step)) > 0.05 >= max(p(low - step), p(high + step))


def test_many_pairs_are_sampled_close_to_the_t_test_and_alike_each_time():
    a, b = np.random.default_rng(5).normal(size=(2, 40, 1)) + np.array([0.45, 0])[:, None, None]
    p = p_value(a, b)
    assert p == p_value(a, b)
    assert p == pytest.approx(stats.ttest_rel(a, b).pvalue.item(), abs=0.01)
    differences = (a - b)[:, 0]
    t_interval = stats.t.interval(0.95, 39, differences.mean(), stats.sem(differences))
    assert interval(a, b) == pytest.approx(t_interval, abs=0.05)


def test_interval_and_p_agree_beyond_the_exact_test():
    random = np.random.default_rng(6)
    for mean in np.linspace(0, 1, 5):
        a, b = random.normal(size=(2, 20, 2)) + np.array([mean, 0])[:, None, None]
        low, high = interval(a, b)
        assert (p_value(a, b) <= 0.05) != (low <= 0 <= high)


def test_arms_that_do_not_differ_are_seldom_called_different():
    """A/A with near-tied rates: the test that chooses anew keeps 5%, choosing once does not."""
    random = np.random.default_rng(7)
    comparisons, anew, once = 1000, 0, 0
    for _ in range(comparisons):
        a, b = random.normal(size=(2, 8, 3))
        anew += p_value(a, b) <= 0.05
        once += p_value(chosen_values(a)[:, None], chosen_values(b)[:, None]) <= 0.05
    # Exactly 6 of 128 flips are in the rejection region; 3.5 standard errors on top.
    assert anew / comparisons <= 6 / 128 + 3.5 * np.sqrt(0.047 * 0.953 / comparisons)
    assert once / comparisons > 0.10


@pytest.mark.parametrize("rates", [1, 3])
def test_interval_covers_the_true_shift(rates):
    random = np.random.default_rng(8)
    comparisons, covered = 1000, 0
    for _ in range(comparisons):
        a, b = random.standard_t(3, size=(2, 8, rates))
        low, high = interval(a + 0.7, b)
        covered += low <= 0.7 <= high
    error = 3.5 * np.sqrt(0.047 * 0.953 / comparisons)
    assert 1 - 6 / 128 - error <= covered / comparisons <= 1 - 6 / 128 + error


def test_pairs_needed_grow_with_the_family():
    assert [pairs_needed(0.05 / family) for family in range(1, 8)] == [6, 7, 7, 8, 8, 8, 9]
    assert pairs_needed(2 / 64) == 6


@pytest.mark.parametrize("other", [(6, 2), (5, 1), (6,)])
def test_arms_that_are_not_paired_are_refused(other):
    with pytest.raises(InputError, match="arms are not paired: received shapes"):
        p_value(np.zeros((6, 1)), np.zeros(other))


@pytest.mark.parametrize("level", [0, 1, -0.1, float("nan")])
def test_levels_that_are_no_probability_are_refused(level):
    with pytest.raises(InputError, match=r"not an error probability.*0 < level < 1"):
        interval(np.zeros((6, 1)), np.zeros((6, 1)), level=level)
    with pytest.raises(InputError, match="not an error probability"):
        pairs_needed(level)


def test_no_pairs_are_refused():
    with pytest.raises(InputError, match="at least one of each"):
        p_value(np.zeros((0, 1)), np.zeros((0, 1)))
