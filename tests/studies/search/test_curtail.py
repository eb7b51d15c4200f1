"""Curtailment never changes what would have come: whatever the missing pairs are."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from normcraft.studies.search.curtail import is_settled
from normcraft.studies.signflip import SignFlipTest
from normcraft.studies.verdict import outcome_of

differences = st.floats(-0.05, 0.05).map(lambda value: round(value, 3))
extremes = st.one_of(differences, st.floats(-1e3, 1e3), st.sampled_from([-1e6, 1e6, 0.0]))


@settings(max_examples=300)
@given(
    st.lists(differences, min_size=2, max_size=9),
    st.lists(extremes, max_size=5),
    st.sampled_from([0.05, 0.04, 0.05 / 3]),
    st.sampled_from([0.0, 0.005, 0.02]),
)
@example([0.0] * 6, [], 0.05, 0.0)
def test_no_completion_tells_what_is_settled(known, rest, level, effect):
    assume(is_settled(np.array(known), len(rest), level=level, smallest_effect=effect))
    whole = np.array([*known, *rest])[:, None]
    test = SignFlipTest.of(whole, np.zeros_like(whole))
    assert outcome_of(test.interval(level), effect) == "cannot_tell"


@pytest.mark.parametrize("remaining", [0, 2, 5])
def test_the_bound_is_the_one_that_all_flips_give(remaining):
    known = np.array([0.02, -0.03, 0.01, 0.02, -0.01, 0.03, 0.02])
    signs = np.array(np.meshgrid(*[[1, -1]] * len(known))).reshape(len(known), -1).T
    one_sided = np.mean(signs @ known >= known.sum() - 1e-12)
    bound = 2.0 ** (1 - remaining) * one_sided
    other = 2.0 ** (1 - remaining) * np.mean(signs @ known <= known.sum() + 1e-12)
    least = min(bound, other, 1.0)
    settled = [
        is_settled(known, remaining, level=level, smallest_effect=0.0)
        for level in (least * 0.999, least * 1.001)
        if level < 1
    ]
    assert settled == [True, False][: len(settled)]


def test_beyond_sixteen_pairs_the_flips_of_the_test_itself_are_counted():
    random = np.random.default_rng(0)
    known = random.normal(size=17)
    known -= known.mean()
    assert is_settled(known, 1, level=0.05, smallest_effect=0.0)
    for value in (-1e9, -1.0, 0.0, 1.0, 1e9):
        whole = np.array([*known, value])[:, None]
        assert SignFlipTest.of(whole, np.zeros_like(whole)).p_value > 0.05


def test_a_clear_gain_is_not_settled():
    assert not is_settled(np.full(5, 0.02), 1, level=0.05, smallest_effect=0.0)


def test_without_a_pair_nothing_is_settled():
    assert not is_settled(np.array([]), 3, level=0.05, smallest_effect=0.0)
