"""The benchmark of the verdict's calibration counts what it says, on a pool that is made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from comparisons import make_arm, make_record

benchmark = pytest.importorskip("benchmarks.aa_calibration", reason="benchmarks are not here")


def pool_of(scores):
    """A row for each row of scores, of shape (seeds, rates)."""
    blank = [make_record("none", 0, rate, epochs=1) for rate in benchmark.RATES]
    return benchmark.Pool(
        "made up",
        tuple(
            tuple(replace(one, score=score) for one, score in zip(blank, row, strict=True))
            for row in scores.tolist()
        ),
    )


@pytest.fixture(scope="module")
def normal():
    return pool_of(np.random.default_rng(0).normal(0.9, 0.01, size=(100, 3)))


SETTINGS = {"description": make_arm("none")}


def test_rows_are_drawn_once_and_shared_out_under_new_names(normal):
    drawn = benchmark.draw(normal.rows, 24, np.random.default_rng(0))
    assert len({id(row) for row in drawn}) == 24
    _, arms = benchmark.judge(normal, drawn, 3, make_arm("none"))
    assert [arm.name for arm in arms] == ["arm 1", "arm 2", "arm 3"]
    assert {arm.seeds for arm in arms} == {8}
    first = np.array([[one.score for one in row] for row in drawn[:8]])
    means = [mean for _, mean in arms[0].by_learning_rate]
    assert means == pytest.approx(first.mean(axis=0))


def test_false_winners_are_about_as_many_as_the_exact_test_allows(normal):
    found = benchmark.false_winners(normal, 2, 8, 400, np.random.default_rng(1), **SETTINGS)
    assert found["exact_limit"] == 6 / 128
    assert 0.02 < found["false_winner_rate"] == found["false_call_rate"] < 0.08
    assert found["false_winner_rate"] < found["upper_bound"] < 0.11


def test_eight_arms_at_eight_pairs_can_never_have_a_winner(normal):
    found = benchmark.false_winners(normal, 8, 8, 20, np.random.default_rng(1), **SETTINGS)
    assert found["exact_limit"] == found["false_winner_rate"] == 0


def test_a_large_gain_is_always_found_and_intervals_hold_it(normal):
    draws = [benchmark.draw(normal.rows, 24, np.random.default_rng(n)) for n in range(60)]
    truth = {"arm 1": 0.0, "arm 2": 0.2, "arm 3": 0.0}
    found = benchmark.planted(normal, draws, truth, make_arm("none"))
    assert (found["power"], found["wrong_winner_rate"]) == (1.0, 0.0)
    assert found["coverage"] > 0.9
    assert found["verdict_coverage"] > 0.9


def test_a_baseline_that_is_better_than_all_is_told_in_its_own_direction(normal):
    draws = [benchmark.draw(normal.rows, 24, np.random.default_rng(n)) for n in range(20)]
    truth = {"arm 1": 0.0, "arm 2": -0.2, "arm 3": -0.2}
    found = benchmark.planted(normal, draws, truth, make_arm("none"))
    assert found["power"] == 1.0
    assert found["verdict_coverage"] > 0.8


def test_a_winner_of_a_smaller_gain_is_counted_as_wrong(normal):
    draws = [benchmark.draw(normal.rows, 24, np.random.default_rng(n)) for n in range(40)]
    truth = {"arm 1": 0.0, "arm 2": 0.2, "arm 3": 0.2001}
    found = benchmark.planted(normal, draws, truth, make_arm("none"))
    assert found["power"] + found["wrong_winner_rate"] == 1.0
    assert 0.2 < found["wrong_winner_rate"] < 0.8


def test_pools_turn_losses_and_diverged_trials_into_what_a_store_holds(normal):
    rows = dict.fromkeys(benchmark.ARMS, normal.rows)
    pools = {pool.name: pool for pool in benchmark.pools(rows, np.random.default_rng(0))}
    lost = pools["a quarter diverged at the highest rate"]
    outcomes = [[one.outcome for one in row] for row in lost.rows]
    assert {tuple(row[:-1]) for row in outcomes} == {("finished", "finished")}
    assert 10 < sum(row[-1] == "diverged" for row in outcomes) < 40
    assert {one.score for row in lost.rows for one in row if one.outcome == "diverged"} == {None}
    assert not pools["loss"].is_score
    assert pools["loss"].rows[0][0].score == normal.rows[0][0].loss


def test_equal_means_are_equal_at_every_rate(normal):
    better = tuple(benchmark.lifted(row, 0.3) for row in normal.rows)
    moved = benchmark.with_equal_means({"none": normal.rows, "before_activation": better})
    means = [np.mean([[o.score for o in row] for row in moved[arm]], axis=0) for arm in moved]
    assert means[0] == pytest.approx(means[1])


def test_the_bound_is_that_of_clopper_and_pearson():
    assert benchmark.upper_bound(0, 59) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert benchmark.upper_bound(5, 5) == 1.0
