import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from flips import p_value
from normcraft._core.errors import InputError
from normcraft.studies.verdict import Comparison, Metric, compare_with_baseline, decide, holm

quick = settings(max_examples=80, deadline=None)
p_values = st.lists(st.integers(1, 128).map(lambda count: count / 128), min_size=1, max_size=6)
ACCURACY = Metric("accuracy")
ERROR = Metric("mae", higher_is_better=False, as_fraction=False)


def comparison(outcome, difference=0.0, interval=(-0.01, 0.01), arm="input", level=0.05, p=0.5):
    return Comparison(arm, difference, interval, level, p, outcome)


def told(*found, pairs=8, metric=ACCURACY, smallest_effect=0.005, **more):
    return decide(
        found, baseline="none", pairs=pairs, metric=metric, smallest_effect=smallest_effect, **more
    )


def scores(*means, pairs=8, spread=0.01, seed=0):
    """Scores of arms with these means, at two learning rates, paired over seeds."""
    random = np.random.default_rng(seed)
    seeds = random.normal(0, 0.03, size=(pairs, 1))
    return [mean + seeds + random.normal(0, spread, size=(pairs, 2)) for mean in means]


# Holm


def test_holm_by_hand():
    # Holm's steps at 0.05: 0.01 against 0.0125, 0.02 against 0.01667 stops there.
    adjusted, levels = holm([0.04, 0.01, 0.3, 0.02])
    assert adjusted == pytest.approx([0.08, 0.04, 0.3, 0.06])
    assert levels == pytest.approx([0.05 / 3, 0.05 / 4, 0.05 / 3, 0.05 / 3])


@quick
@given(p_values)
@example([1 / 128, 1 / 128, 3 / 128])
def test_holm_rejects_at_its_level_exactly_where_the_adjusted_p_does(values):
    adjusted, levels = holm(values)
    assert [p <= step for p, step in zip(values, levels, strict=True)] == [
        p <= 0.05 for p in adjusted
    ]


@quick
@given(p_values)
def test_adjusted_p_values_keep_order_and_lie_between_raw_and_bonferroni(values):
    adjusted, levels = holm(values)
    ranked = [adjusted[index] for index in np.argsort(values, kind="stable")]
    assert ranked == sorted(ranked)
    for raw, p, step in zip(values, adjusted, levels, strict=True):
        assert raw <= p <= min(1.0, len(values) * raw)
        assert 0.05 / len(values) <= step <= 0.05


@quick
@given(p_values, st.randoms(use_true_random=False))
def test_order_of_comparisons_does_not_matter_to_holm(values, random):
    order = list(range(len(values)))
    random.shuffle(order)
    adjusted, levels = holm(values)
    assert holm([values[index] for index in order]) == (
        tuple(adjusted[index] for index in order),
        tuple(levels[index] for index in order),
    )


def test_holm_without_comparisons_is_empty():
    assert holm([]) == ((), ())


# Comparisons


@quick
@given(st.integers(0, 500), st.integers(1, 4), st.integers(3, 9))
def test_intervals_agree_with_adjusted_p_values(seed, others, pairs):
    steps = np.random.default_rng(seed).normal(0, 0.02, size=others)
    none, *arms = scores(0.9, *(0.9 + steps), pairs=pairs, seed=seed)
    named = {f"arm {index}": arm for index, arm in enumerate(arms)}
    for found in compare_with_baseline(none, named, smallest_effect=0):
        if found.interval is None:
            assert found.p_value > 0.05
            assert found.outcome == "cannot_tell"
        else:
            low, high = found.interval
            assert (found.p_value > 0.05) == (low <= 0 <= high)
            assert (found.outcome == "better") == (found.p_value <= 0.05 and found.difference > 0)
            assert (found.outcome == "worse") == (found.p_value <= 0.05 and found.difference < 0)


@quick
@given(st.integers(0, 500), st.permutations(["a", "b", "c"]))
def test_order_of_arms_does_not_matter(seed, order):
    none, *arms = scores(0.9, 0.9, 0.93, 0.88, seed=seed)
    named = dict(zip("abc", arms, strict=True))
    found = compare_with_baseline(none, named, smallest_effect=0.005)
    again = compare_with_baseline(
        none, {name: named[name] for name in order}, smallest_effect=0.005
    )
    assert set(again) == set(found)
    assert told(*again) == told(*found)


def test_names_of_arms_do_not_matter():
    none, *arms = scores(0.9, 0.9, 0.93)
    found = compare_with_baseline(none, dict(zip("ab", arms, strict=True)), smallest_effect=0.005)
    other = compare_with_baseline(none, dict(zip("ba", arms, strict=True)), smallest_effect=0.005)
    assert [replace(one, arm="") for one in found] == [replace(one, arm="") for one in other]


def test_swapping_arm_and_baseline_turns_the_outcome():
    none, arm = scores(0.9, 0.93)
    (better,) = compare_with_baseline(none, {"arm": arm}, smallest_effect=0.005)
    (worse,) = compare_with_baseline(arm, {"arm": none}, smallest_effect=0.005)
    assert (better.outcome, worse.outcome) == ("better", "worse")
    assert worse.difference == -better.difference
    assert worse.p_value == better.p_value
    assert worse.interval == pytest.approx((-better.interval[1], -better.interval[0]))


def test_a_sure_but_tiny_difference_is_equal():
    none = np.linspace(0.8, 0.9, 8)[:, None]
    (found,) = compare_with_baseline(none, {"arm": none + 0.001}, smallest_effect=0.005)
    assert found.p_value < 0.05
    assert found.outcome == "equal"


def test_arms_that_do_not_differ_have_seldom_a_winner():
    """Two A/A arms against the baseline, three near-tied rates each, over whole comparisons."""
    random, comparisons, winners = np.random.default_rng(1), 500, 0
    for _ in range(comparisons):
        none, one, two = random.normal(size=(3, 8, 3))
        found = compare_with_baseline(none, {"one": one, "two": two}, smallest_effect=0.0)
        winners += told(*found).winner is not None
    assert winners / comparisons <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / comparisons)


@pytest.mark.parametrize("effect", [-0.1, float("nan"), float("inf")])
def test_a_smallest_effect_must_be_zero_or_more(effect):
    with pytest.raises(InputError, match=r"not a smallest effect.*expected zero or more"):
        compare_with_baseline(np.ones((6, 1)), {}, smallest_effect=effect)


# The verdict


def test_winner_is_the_best_of_the_better_arms():
    verdict = told(
        comparison("better", 0.02, (0.01, 0.03), arm="a"),
        comparison("better", 0.03, (0.01, 0.05), arm="b", p=0.02),
        comparison("cannot_tell", 0.04, (-0.01, 0.09), arm="c"),
    )
    assert (verdict.outcome, verdict.winner, verdict.baseline) == ("better", "b", "none")
    assert (verdict.difference, verdict.interval, verdict.p_value) == (0.03, (0.01, 0.05), 0.02)
    assert verdict.smallest_detectable is None


def test_of_arms_that_tie_the_first_wins():
    tied = [comparison("better", 0.02, (0.01, 0.03), arm=arm) for arm in ("a", "b")]
    assert told(*tied).winner == "a"


def test_baseline_wins_where_every_other_arm_is_worse():
    verdict = told(
        comparison("worse", -0.03, (-0.05, -0.01), arm="a"),
        comparison("worse", -0.02, (-0.04, -0.005), arm="b"),
    )
    assert (verdict.outcome, verdict.winner) == ("better", "none")
    assert (verdict.difference, verdict.interval) == (0.02, (0.005, 0.04))
    assert verdict.sentence.startswith("none is better than b by 2.0 points")


def test_best_arm_that_is_not_worse_is_judged_where_nothing_wins():
    verdict = told(
        comparison("equal", 0.001, (-0.002, 0.004), arm="a"),
        comparison("cannot_tell", -0.02, (-0.05, 0.01), arm="b"),
        comparison("worse", -0.001, (-0.0015, -0.0005), arm="c"),
    )
    assert (verdict.outcome, verdict.winner, verdict.difference) == ("equal", None, 0.001)


def test_cannot_tell_says_which_difference_could_have_been_shown():
    verdict = told(comparison("cannot_tell", 0.002, (-0.009, 0.011)))
    assert verdict.outcome == "cannot_tell"
    assert verdict.smallest_detectable == pytest.approx(0.011)


def test_shift_of_the_detectable_size_is_found():
    none, arm = scores(0.9, 0.901)
    verdict = told(*compare_with_baseline(none, {"arm": arm}, smallest_effect=0.001))
    assert verdict.outcome == "cannot_tell"
    for side in (1, -1):
        shift = side * (verdict.smallest_detectable + 1e-9) - verdict.difference
        assert p_value(arm + shift, none) <= 0.05


# The sentence


@pytest.mark.parametrize(
    ("found", "settings", "sentence"),
    [
        (
            [comparison("better", 0.013, (0.008, 0.019))],
            {},
            "input is better than none by 1.3 points (95% interval 0.8 to 1.9, 8 paired seeds)",
        ),
        (
            [
                comparison("better", 0.013, (0.008, 0.019), level=0.025),
                comparison("cannot_tell", arm="output"),
            ],
            {},
            "input is better than none by 1.3 points (97.5% interval 0.8 to 1.9, Holm over 2 "
            "comparisons, 8 paired seeds)",
        ),
        (
            [comparison("better", 0.013, (0.0004, 0.026))],
            {},
            "input is better than none by 1.30 points (95% interval 0.04 to 2.60, 8 paired seeds)",
        ),
        (
            [comparison("equal", 0.001, (-0.002, 0.003))],
            {},
            "input and none are practically equal: the difference is 0.1 points (95% interval "
            "-0.2 to 0.3, 8 paired seeds), within half a point",
        ),
        (
            [comparison("equal", 0.0, (0.0, 0.0))],
            {"smallest_effect": 0.01},
            "input and none are practically equal: the difference is 0.0 points (95% interval "
            "0.0 to 0.0, 8 paired seeds), within one point",
        ),
        (
            [comparison("equal", -0.0001, (-0.0026, 0.0025))],
            {"smallest_effect": 0.0026},
            "input and none are practically equal: the difference is -0.01 points (95% interval "
            "-0.26 to 0.25, 8 paired seeds), within 0.26 points",
        ),
        (
            [comparison("cannot_tell", 0.0021, (-0.009, 0.011))],
            {},
            "cannot tell input from none: the difference is 0.2 points (95% interval -0.9 to "
            "1.1); with 8 paired seeds only a difference of 1.2 points or more could have been "
            "shown",
        ),
        (
            [comparison("cannot_tell", -0.0002, (-0.009, 0.011))],
            {},
            "cannot tell input from none: the difference is 0.0 points (95% interval -0.9 to "
            "1.1); with 8 paired seeds only a difference of 1.2 points or more could have been "
            "shown",
        ),
        (
            [comparison("better", 0.32, (0.2, 0.5))],
            {"metric": ERROR},
            "input is better than none: mae lower by 0.32 (95% interval 0.20 to 0.50, 8 paired "
            "seeds)",
        ),
        (
            [comparison("worse", -1234.5, (-1800.0, -950.0))],
            {"metric": replace(ERROR, name="r2", higher_is_better=True)},
            "none is better than input: r2 higher by 1234 (95% interval 950 to 1800, 8 paired "
            "seeds)",
        ),
        (
            [comparison("cannot_tell", -0.1, (-0.3, 0.2))],
            {"metric": ERROR},
            "cannot tell input from none: mae higher by 0.10 (95% interval -0.20 to 0.30); with "
            "8 paired seeds only a difference of 0.30 or more could have been shown",
        ),
        (
            [comparison("equal", -0.1, (-0.3, 0.2))],
            {"metric": ERROR, "smallest_effect": 0.5},
            "input and none are practically equal: mae higher by 0.10 (95% interval -0.20 to "
            "0.30, 8 paired seeds), within 0.5",
        ),
        (
            [comparison("cannot_tell", 0.2, None)],
            {"pairs": 2},
            "cannot tell input from none: 2 paired seeds cannot reach significance at 0.05, at "
            "least 6 are needed: add --seeds 8",
        ),
        (
            [comparison("cannot_tell", 0.2, None, arm=arm, level=0.05 / 9) for arm in "abcdefghi"],
            {"pairs": 1},
            "cannot tell a from none: 1 paired seed cannot reach significance at 0.05 over 9 "
            "comparisons, at least 9 are needed: add --seeds 9",
        ),
        (
            [comparison("cannot_tell", 0.2, None)],
            {"pairs": 3, "incomplete": 5},
            "cannot tell input from none: 3 paired seeds cannot reach significance at 0.05, at "
            "least 6 are needed: 5 more lack a result in some arm, run it again to complete them",
        ),
        ([], {}, "only none was trained: there is nothing to compare it with"),
        (
            [],
            {"pairs": 0, "incomplete": 8},
            "nothing can be told: no seed has a result in every arm (8 incomplete)",
        ),
    ],
)
def test_sentence(found, settings, sentence):
    verdict = told(*found, **settings)
    assert str(verdict) == sentence


@pytest.mark.parametrize("pairs", [0, 8])
def test_where_there_is_nothing_to_compare_nothing_is_told(pairs):
    verdict = told(pairs=pairs)
    assert (verdict.outcome, verdict.winner) == ("cannot_tell", None)
    assert (verdict.difference, verdict.interval, verdict.p_value) == (None, None, None)


magnitudes = st.floats(-6, 4).map(lambda power: 10.0**power)


@quick
@given(magnitudes, magnitudes, st.floats(0, 1), st.booleans(), st.booleans())
def test_printed_bounds_do_not_contradict_the_outcome(low, width, place, fraction, higher):
    metric = Metric("metric", higher_is_better=higher, as_fraction=fraction)
    found = comparison("better", low + place * width, (low, low + width))
    figures = [float(text) for text in re.findall(r"-?\d+\.?\d*", str(told(found, metric=metric)))]
    difference, _, printed_low, printed_high, _ = figures
    assert 0 < printed_low <= difference <= printed_high
    assert printed_high > printed_low or width < 1e-6 * low


@quick
@given(magnitudes, st.floats(0, 1), st.floats(0, 1))
def test_printed_bounds_of_equal_arms_lie_within_the_smallest_effect(effect, low, high):
    found = comparison("equal", (high - low) * effect / 2, (-low * effect, high * effect))
    sentence = str(told(found, metric=ERROR, smallest_effect=effect))
    difference, _, printed_low, printed_high, _, within = (
        float(text) for text in re.findall(r"-?\d+\.?\d*", sentence)
    )
    assert printed_low <= difference <= printed_high
    assert -within <= printed_low <= printed_high <= within
    assert within == pytest.approx(effect, rel=0.06)


def test_a_clear_shift_is_found_as_often_as_the_signed_rank_test_finds_it():
    random, comparisons, wins, reference = np.random.default_rng(2), 200, 0, 0
    for _ in range(comparisons):
        none, arm = random.normal(size=(2, 10, 1))
        (found,) = compare_with_baseline(none, {"arm": arm + 1.2}, smallest_effect=0)
        wins += found.outcome == "better"
        reference += stats.wilcoxon((arm + 1.2 - none)[:, 0]).pvalue <= 0.05
    assert wins >= reference - 0.05 * comparisons
