import json
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flips import interval, p_value
from normcraft._core.errors import InputError
from normcraft.records import Arm, TrialRecord, TrialSpec
from normcraft.studies.selection import chosen_values
from normcraft.studies.signflip import mean_interval
from normcraft.studies.summarize import summarize

quick = settings(max_examples=40, deadline=None)
BLANK = dict.fromkeys((field.name for field in fields(TrialSpec)), None)
RATES = (0.01, 0.1)


def arm(name, **changes):
    return replace(Arm(name, name, "batch", "relu", 32, "{}", 100, "all"), **changes)


def trial(name, seed, rate, score, outcome="finished", **more):
    spec = TrialSpec(**{**BLANK, "arm": name, "seed": seed, "learning_rate": rate})
    return TrialRecord(spec, outcome, score=score, score_as_trained=score, **more)


def without_result(record, outcome):
    return replace(
        record, outcome=outcome, score=None, score_as_trained=None, chance_score=0.1, reason="why"
    )


def trials_of(scores):
    """A finished trial for every entry of `{arm: (seeds, rates)}`."""
    return [
        trial(name, seed, rate, float(row[index]))
        for name, rows in scores.items()
        for seed, row in enumerate(rows)
        for index, rate in enumerate(RATES[: len(row)])
    ]


def random_scores(*names, seeds=8, seed=0):
    random = np.random.default_rng(seed)
    level = random.normal(0.8, 0.03, size=(seeds, 1))
    return {name: level + random.normal(0, 0.01, size=(seeds, 2)) for name in names}


def by_rate(scores):
    return dict(zip(RATES, scores.mean(axis=0), strict=True))


def summed(records, names=("none", "input"), **changes):
    settings = {
        "baseline": "none",
        "higher_is_better": True,
        "smallest_effect": None,
        "as_fraction": True,
        "metric": "accuracy",
    }
    return summarize([arm(name) for name in names], records, **{**settings, **changes})


def test_summaries_hold_the_statistics_of_the_scores():
    scores = random_scores("none", "input")
    verdict, (none, found) = summed(trials_of(scores))
    a, b = scores["input"], scores["none"]
    differences = chosen_values(a) - chosen_values(b)
    assert (none.name, found.name) == ("none", "input")
    assert found.mean == pytest.approx(chosen_values(a).mean())
    assert found.interval == mean_interval(chosen_values(a))
    assert found.difference == pytest.approx(differences.mean())
    assert found.difference_interval == interval(a, b) == verdict.interval
    assert found.p_value == p_value(a, b) == verdict.p_value
    assert found.probability_better == np.mean(differences > 0)
    assert dict(found.by_learning_rate) == pytest.approx(by_rate(a))
    assert found.seeds == none.seeds == 8


def test_the_baseline_is_compared_with_nothing():
    _, (none, _) = summed(trials_of(random_scores("none", "input")))
    compared = "difference", "difference_interval", "p_value", "probability_better", "outcome"
    assert [getattr(none, name) for name in compared] == [None] * 5


def test_what_the_arm_knows_is_handed_on():
    arms = [arm("none", kind=None, foldable=None), arm("x", batch_size=8, parameters=7)]
    _, (none, found) = summarize(
        arms,
        trials_of(random_scores("none", "x")),
        baseline="none",
        higher_is_better=True,
        smallest_effect=None,
        as_fraction=True,
        metric="accuracy",
    )
    assert (none.kind, none.foldable) == (None, None)
    assert (found.placement, found.kind, found.activation) == ("x", "batch", "relu")
    assert (found.batch_size, found.parameters, found.foldable) == (8, 7, "all")


def test_the_baseline_comes_first_and_the_others_as_given():
    records = trials_of(random_scores("b", "none", "a"))
    _, summaries = summed(records, names=("b", "none", "a"))
    assert [one.name for one in summaries] == ["none", "b", "a"]


@quick
@given(st.randoms(use_true_random=False))
def test_order_of_records_and_arms_does_not_matter(random):
    records = trials_of(random_scores("none", "a", "b"))
    verdict, summaries = summed(records, names=("none", "a", "b"))
    random.shuffle(records)
    other, reordered = summed(records, names=("b", "none", "a"))
    assert other == verdict
    assert {one.name: one for one in reordered} == {one.name: one for one in summaries}


@quick
@given(st.integers(0, 500), st.floats(-10, 10), st.sampled_from([0.01, 1.0, 250.0]))
def test_shift_and_scale_of_all_scores_go_through(seed, shift, scale):
    scores = random_scores("none", "a", "b", seed=seed)
    moved = {name: scale * rows + shift for name, rows in scores.items()}
    names, settings = ("none", "a", "b"), {"as_fraction": False}
    verdict, lines = summed(trials_of(scores), names, smallest_effect=0.005, **settings)
    other, others = summed(trials_of(moved), names, smallest_effect=0.005 * scale, **settings)
    assert (other.outcome, other.winner, other.p_value) == (
        verdict.outcome,
        verdict.winner,
        verdict.p_value,
    )
    for line, found in zip(lines, others, strict=True):
        assert found.mean == pytest.approx(scale * line.mean + shift)
        assert found.interval == pytest.approx([scale * end + shift for end in line.interval])
        assert (found.p_value, found.outcome) == (line.p_value, line.outcome)
        assert found.learning_rate == line.learning_rate
        if line.difference is not None:
            assert found.difference == pytest.approx(scale * line.difference, abs=1e-9 * scale)
            ends = [scale * end for end in line.difference_interval]
            assert found.difference_interval == pytest.approx(ends, abs=1e-9 * scale)


@quick
@given(st.integers(0, 500), st.permutations(range(8)), st.integers(1, 1000))
def test_numbers_of_seeds_do_not_matter(seed, order, step):
    records = trials_of(random_scores("none", "a", seed=seed))
    renamed = [
        replace(one, spec=replace(one.spec, seed=step * order[one.spec.seed])) for one in records
    ]
    verdict, (_, line) = summed(records, ("none", "a"))
    other, (_, found) = summed(renamed, ("none", "a"))
    assert (other.outcome, other.p_value) == (verdict.outcome, verdict.p_value)
    assert found.difference == pytest.approx(line.difference)
    assert found.difference_interval == pytest.approx(line.difference_interval)


@quick
@given(st.integers(0, 500))
def test_names_of_arms_do_not_matter(seed):
    scores = random_scores("none", "a", "b", seed=seed)
    exchanged = {"none": scores["none"], "a": scores["b"], "b": scores["a"]}
    _, (_, a, b) = summed(trials_of(scores), ("none", "a", "b"))
    _, (_, other_a, other_b) = summed(trials_of(exchanged), ("none", "a", "b"))
    assert [replace(one, name="", placement="") for one in (other_b, other_a)] == [
        replace(one, name="", placement="") for one in (a, b)
    ]


def test_the_last_record_of_a_trial_counts():
    records = trials_of(random_scores("none", "input"))
    again = [without_result(records[0], "failed"), *records]
    assert summed(again) == summed(records)


def test_records_of_other_arms_are_ignored():
    records = trials_of(random_scores("none", "input"))
    assert summed([*records, trial("gone", 99, 0.5, 0.1)]) == summed(records)


@pytest.mark.parametrize("outcome", ["failed", "stopped"])
def test_a_trial_without_a_result_takes_its_seed_out_of_every_arm(outcome):
    scores = random_scores("none", "input")
    records = trials_of(scores)
    records[4] = without_result(records[4], outcome)  # seed 2 of the baseline
    _, (none, found) = summed(records)
    rest = np.delete(scores["input"], 2, axis=0)
    assert found.seeds == none.seeds == 7
    assert found.mean == pytest.approx(chosen_values(rest).mean())
    assert dict(found.by_learning_rate) == pytest.approx(by_rate(rest))
    assert none.outcomes == {"finished": 15, "diverged": 0, "failed": 0, "stopped": 0} | {
        outcome: 1
    }


def test_a_trial_that_has_not_run_takes_its_seed_out():
    records = trials_of(random_scores("none", "input"))
    verdict, (none, _) = summed(records[:-3])
    assert none.seeds == 6
    assert none.outcomes["finished"] == 16
    assert "6 paired seeds" in str(verdict)


def test_a_score_that_is_not_a_number_is_no_result():
    records = trials_of(random_scores("none", "input"))
    records[0] = replace(records[0], score=float("nan"))
    assert summed(records)[1][0].seeds == 7


def test_a_diverged_trial_counts_at_chance_and_beside():
    scores = random_scores("none", "input")
    records = trials_of(scores)
    records[-1] = without_result(records[-1], "diverged")
    records[-2] = without_result(records[-2], "diverged")
    scores["input"][7] = 0.1
    _, (_, found) = summed(records)
    assert found.seeds == 8
    assert found.outcomes == {"finished": 14, "diverged": 2, "failed": 0, "stopped": 0}
    assert found.mean == pytest.approx(chosen_values(scores["input"]).mean())
    assert found.as_trained_mean == pytest.approx(found.mean)


def test_nothing_is_equal_where_every_trial_diverged():
    records = [without_result(one, "diverged") for one in trials_of(random_scores("none", "input"))]
    verdict, (none, _) = summed(records)
    assert verdict.outcome == "cannot_tell"
    assert verdict.sentence == (
        "nothing can be told: every trial diverged; try smaller learning rates"
    )
    assert none.outcomes["diverged"] == len(records) // 2


def test_a_metric_to_be_minimised_turns_differences_but_not_means():
    scores = random_scores("none", "input", seed=3)
    losses = {name: 1 - rows for name, rows in scores.items()}
    loss = {"higher_is_better": False, "as_fraction": False, "smallest_effect": 0.0}
    _, (_, up) = summed(trials_of(scores), smallest_effect=0.0)
    _, (_, down) = summed(trials_of(losses), **loss, metric="loss")
    assert down.mean == pytest.approx(1 - up.mean)
    assert down.interval == pytest.approx((1 - up.interval[1], 1 - up.interval[0]))
    assert [mean for _, mean in down.by_learning_rate] == pytest.approx(
        [1 - mean for _, mean in up.by_learning_rate]
    )
    assert down.difference == pytest.approx(up.difference)
    assert down.difference_interval == pytest.approx(up.difference_interval)
    assert (down.p_value, down.outcome) == (up.p_value, up.outcome)
    assert down.probability_better == up.probability_better
    assert down.learning_rate == up.learning_rate


def test_a_diverged_loss_counts_at_its_chance_loss():
    losses = [trial("none", seed, 0.1, 0.5) for seed in range(6)]
    losses += [replace(one, spec=replace(one.spec, arm="input")) for one in losses]
    losses[-1] = replace(without_result(losses[-1], "diverged"), chance_score=2.5)
    _, (_, found) = summed(losses, higher_is_better=False, as_fraction=False)
    assert found.mean == pytest.approx((5 * 0.5 + 2.5) / 6)
    assert found.difference == pytest.approx(-2 / 6)


def test_the_learning_rate_is_the_one_most_often_chosen():
    rows = np.tile([0.5, 0.8], (6, 1))
    verdict, (none, found) = summed(trials_of({"none": rows, "input": rows[:, ::-1]}))
    assert (none.learning_rate, found.learning_rate) == (0.1, 0.01)
    assert dict(none.by_learning_rate) == pytest.approx({0.01: 0.5, 0.1: 0.8})
    assert verdict.outcome == "equal"


def test_test_scores_and_scores_as_trained_are_those_of_the_chosen_trials():
    records = [
        replace(one, test_score=one.score - 0.1, score_as_trained=one.score - 0.2)
        for one in trials_of({name: np.tile([0.5, 0.8], (6, 1)) for name in ("none", "input")})
    ]
    records[1] = replace(records[1], test_score=None)
    _, (none, found) = summed(records)
    assert none.test_mean == found.test_mean == pytest.approx(0.7)
    assert found.as_trained_mean == pytest.approx(0.6)
    missing = replace(records[-1], test_score=None, score_as_trained=None)
    without = [replace(one, test_score=None) for one in records[:-1]]
    _, (none, found) = summed([*without, missing])
    assert none.test_mean is None
    assert found.as_trained_mean is None


def test_a_diverged_trial_counts_at_chance_in_the_test_mean_too():
    records = [
        replace(one, test_score=one.score - 0.1)
        for one in trials_of({name: np.full((8, 1), 0.8) for name in ("none", "input")})
    ]
    survivor = records[8:][3]
    diverged = [
        one if one is survivor else replace(without_result(one, "diverged"), test_score=None)
        for one in records[8:]
    ]
    _, (none, found) = summed([*records[:8], *diverged])
    assert none.test_mean == pytest.approx(0.7)
    assert found.mean == pytest.approx((0.8 + 7 * 0.1) / 8)
    assert found.test_mean == pytest.approx((0.7 + 7 * 0.1) / 8)
    without = [replace(one, test_score=None) for one in (*records[:8], *diverged)]
    assert [line.test_mean for line in summed(without)[1]] == [None, None], "no test data"


def test_time_of_a_step_is_the_median_over_the_trials_of_the_arm():
    records = trials_of(random_scores("none", "input"))
    times = [3.0, 1.0, 2.0, *[None] * (len(records) - 3)]
    timed = [replace(one, step_milliseconds=t) for one, t in zip(records, times, strict=True)]
    _, (none, found) = summed(timed)
    assert (none.step_milliseconds, found.step_milliseconds) == (2.0, None)


def test_pairs_that_tie_count_half():
    pairs = {"none": [[0.5]] * 6, "input": [[0.5], [0.5], [0.6], [0.6], [0.6], [0.4]]}
    _, (_, found) = summed(trials_of(pairs))
    assert found.probability_better == pytest.approx((3 + 2 / 2) / 6)


def test_smallest_effect_is_half_a_point_or_half_a_percent_of_the_baseline():
    records = trials_of({name: [[-40.0]] * 6 for name in ("none", "input")})
    assert summed(records)[0].smallest_effect == 0.005
    assert summed(records, as_fraction=False)[0].smallest_effect == pytest.approx(0.2)
    assert summed(records, smallest_effect=0.3)[0].smallest_effect == 0.3


def test_under_six_pairs_there_are_means_but_no_intervals():
    verdict, (none, found) = summed(trials_of(random_scores("none", "input", seeds=2)))
    assert (none.interval, found.interval, found.difference_interval) == (None, None, None)
    assert None not in {none.mean, found.difference, found.p_value}
    assert found.outcome == verdict.outcome == "cannot_tell"
    assert "2 paired seeds cannot reach significance at 0.05" in str(verdict)


@pytest.mark.parametrize("failing", ["none", "input"])
def test_an_arm_that_always_fails_leaves_nothing_to_tell(failing):
    records = [
        without_result(one, "failed") if one.spec.arm == failing else one
        for one in trials_of(random_scores("none", "input"))
    ]
    verdict, summaries = summed(records, as_fraction=False)
    assert str(verdict) == "nothing can be told: no seed has a result in every arm (8 incomplete)"
    assert {one.name: one.outcomes["failed"] for one in summaries}[failing] == 16
    for one in summaries:
        assert (one.mean, one.interval, one.as_trained_mean, one.difference) == (None,) * 4
        assert one.by_learning_rate == ((0.01, None), (0.1, None))
        assert one.learning_rate == 0.01


def test_a_comparison_that_has_begun_can_be_summarised():
    _, (none, found) = summed([trial("none", 0, 0.1, 0.5)])
    assert (none.outcomes["finished"], found.outcomes["finished"]) == (1, 0)


def test_a_baseline_alone_is_summarised():
    verdict, (none,) = summed(trials_of(random_scores("none")), names=("none",))
    assert str(verdict) == "only none was trained: there is nothing to compare it with"
    assert none.mean is not None


def test_a_summary_is_plain_json():
    verdict, summaries = summed(trials_of(random_scores("none", "input")))
    text = json.dumps([asdict(verdict), *map(asdict, summaries)], allow_nan=False)
    assert json.loads(text)[1]["name"] == "none"


def test_arms_that_share_a_name_are_refused():
    with pytest.raises(InputError, match="two arms share a name: received 'input'"):
        summed([], names=("none", "input", "input"))


def test_a_baseline_that_is_no_arm_is_refused():
    with pytest.raises(InputError, match=r"unknown baseline.*'non'.*did you mean 'none'\?"):
        summed([], baseline="non")


def test_a_comparison_without_trials_is_refused():
    with pytest.raises(InputError, match="there are no trials to judge; run the comparison first"):
        summed([trial("gone", 0, 0.1, 0.5)])
