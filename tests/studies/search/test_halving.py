"""Halving: who goes on, and who is sure to while others still run."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from normcraft.studies.search.cell import Candidate
from normcraft.studies.search.design import exploration_cost, explorers_within, rung_lengths
from normcraft.studies.search.halving import halve, places

CANDIDATES = [Candidate(arm, rate) for arm in ("none", *"abcd") for rate in (0.1, 0.2, 0.3)]
scores = st.lists(
    st.one_of(st.integers(0, 5).map(float), st.just(-inf)),
    min_size=len(CANDIDATES),
    max_size=len(CANDIDATES),
)


@given(scores)
def test_half_goes_on_and_of_an_arm_no_more_than_half_of_its_rates(values):
    kept = halve(dict(zip(CANDIDATES, values, strict=True)), baseline="none")
    assert places(15) <= len(kept) <= places(15) + 1
    assert all(sum(one.arm == arm for one in kept) <= 2 for arm in "abcd")


@given(scores)
def test_the_baseline_stays_at_its_best_rate_however_bad_it_is(values):
    means = dict(zip(CANDIDATES, values, strict=True))
    own = [one for one in halve(means, baseline="none") if one.arm == "none"]
    assert own
    assert means[own[0]] == max(means[one] for one in CANDIDATES[:3])


@given(scores, st.sets(st.integers(0, 14)))
def test_who_is_sure_to_go_on_goes_on_whatever_the_others_bring(values, running):
    means = dict(zip(CANDIDATES, values, strict=True))
    known = {one: None if i in running else means[one] for i, one in enumerate(CANDIDATES)}
    assert set(halve(known, baseline="none")) <= set(halve(means, baseline="none"))


def test_the_best_goes_on_before_the_last_has_run():
    known = dict.fromkeys(CANDIDATES, 0.5) | {CANDIDATES[5]: 0.9, CANDIDATES[-1]: None}
    assert halve(known, baseline="none")[0] == CANDIDATES[5]


def test_nothing_is_sure_while_candidates_may_still_enter():
    assert halve(dict.fromkeys(CANDIDATES, 0.5), baseline="none", complete=False) == ()


def test_rungs_grow_threefold_to_the_full_length():
    assert rung_lengths(27) == (3, 9, 27)
    assert rung_lengths(2) == (1, 2)
    assert all(rung_lengths(n)[-1] == n for n in range(1, 50))


def test_exploring_costs_what_the_rungs_cost():
    # 24 candidates, 12 of them and the baseline, 7 of those and the baseline
    assert exploration_cost(8, 0, 3, (1, 3, 10)) == 24 * 1 + 13 * 3 + 8 * 10
    assert explorers_within(1600, 143, 10) == 4
    assert explorers_within(500, 143, 10) == 1
