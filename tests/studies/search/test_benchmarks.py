"""The benchmarks of the search count what they say, on scores that are made up."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from comparisons import make_record
from normcraft.studies.search.cell import Candidate
from normcraft.studies.search.design import MOST_EXPLORERS, rung_lengths

cost = pytest.importorskip("benchmarks.search_cost", reason="benchmarks are not here")
aa = pytest.importorskip("benchmarks.aa_search", reason="benchmarks are not here")

SEEDS = 12
TASK = SimpleNamespace(name="made up", placements=("none", *"abcdefg"), rates=(0.1, 0.2, 0.3))


def made_up(gains, noise=0.004):
    random = np.random.default_rng(0)
    every = SEEDS + MOST_EXPLORERS
    return {
        Candidate(arm, rate).cell(seed, length): 0.9
        + gains.get(arm, 0.0)
        - 0.02 * (rate != 0.2)
        - 0.1 * (length < cost.LENGTH)
        + noise * random.normal()
        for arm in TASK.placements
        for rate in TASK.rates
        for length in rung_lengths(cost.LENGTH)
        for seed in range(every + SEEDS)
    }


def test_a_replay_stays_within_a_third_and_finds_the_best():
    scores, random = made_up({"c": 0.05, "d": 0.01}), np.random.default_rng(1)
    found = [cost.replay(TASK, scores, SEEDS, random) for _ in range(10)]
    assert all(one.epochs <= one.grid / 3 for one in found)
    assert all(one.grid == 8 * 3 * SEEDS * cost.LENGTH for one in found)
    assert [one.arm for one in found] == ["c"] * 10
    assert len({one.epochs for one in found}) >= 1


def test_the_mean_of_an_arm_is_that_at_its_best_rate():
    means = cost.means_of(TASK, made_up({"c": 0.05}, noise=0.0), SEEDS)
    assert means["c"] == pytest.approx(0.95)
    assert means["none"] == pytest.approx(0.9)


def test_the_winner_of_the_grid_is_the_best_that_is_better():
    assert cost.grid_winner(TASK, made_up({"c": 0.05, "d": 0.03}), SEEDS) == "c"
    assert cost.grid_winner(TASK, made_up({}, noise=0.0), SEEDS) is None


@pytest.mark.parametrize("search", [cost.random_trials, cost.random_candidates])
def test_random_search_takes_the_best_of_what_it_sees(search):
    scores, random = made_up({"c": 0.05}, noise=0.0), np.random.default_rng(2)
    everything = 8 * 3 * (SEEDS + MOST_EXPLORERS) * cost.LENGTH
    assert search(TASK, scores, SEEDS, everything, random) == "c"
    little = [search(TASK, scores, SEEDS, cost.LENGTH, random) for _ in range(30)]
    assert len(set(little)) > 3


def test_figures_of_a_task_and_over_all():
    found = cost.measured(TASK, made_up({"c": 0.05}), SEEDS, 5)
    assert found["grid_winner"] == "c"
    assert found["same_winner"] == 1.0
    assert len(found["regrets"]) == len(found["random_trials"]) == 5
    whole = cost.summary([found, found])
    assert (whole["tasks"], whole["replays"], whole["good"]) == (2, 10, 1.0)
    assert "| made up |" in cost.lines([found], whole)


def test_regret_of_half_a_point_is_still_good():
    assert cost.good([0.0, 0.005, 0.0051, 0.02]) == 0.5


def test_tasks_are_asked_for_by_number_or_name():
    assert cost.is_asked(TASK, 1, "2")
    assert not cost.is_asked(TASK, 2, "2")
    assert cost.is_asked(TASK, 9, "digits_cnn,made up")


def rows_of(number):
    random = np.random.default_rng(3)
    blank = [make_record("none", 0, rate, epochs=aa.LENGTH) for rate in (0.004, 0.005)]
    scores = random.normal(0.9, 0.01, size=(number, 2))
    return [
        tuple(replace(one, score=score) for one, score in zip(blank, row, strict=True))
        for row in scores.tolist()
    ]


@pytest.mark.slow
def test_searches_among_equals_find_no_more_winners_than_the_level():
    random = np.random.default_rng(4)
    found = aa.false_winners(rows_of(60), 2, 8, 300, random, is_score=True)
    assert 0.005 < found["winners"] / 300 < 0.09
    assert 0.005 < found["controls"] / 300 < 0.09


def test_a_row_serves_one_arm_and_seed_alone():
    assert aa.rows_needed(4, 8) == 4 * (8 + MOST_EXPLORERS) + 8
    with pytest.raises(ValueError, match=r"zip\(\) argument"):
        aa.searched(rows_of(20), 4, 8, np.random.default_rng(0), is_score=True)
