"""The search as a pure function: rungs, fresh seeds, looks, budget."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normcraft.studies.search.cell import Candidate, cost
from normcraft.studies.search.design import SearchDesign, exploration_cost, explorers_within
from normcraft.studies.search.finalists import epochs_needed
from normcraft.studies.search.follow import follow
from normcraft.studies.search.looks import looks
from normcraft.studies.signflip import pairs_needed
from searches import ARMS, Truth, carried_out, design_of

EQUAL = dict.fromkeys(ARMS, 0.9)


def test_it_finds_the_best_arm_and_its_rate():
    state, _ = carried_out(design_of(), Truth(EQUAL | {"c": 0.95, "e": 0.93}))
    stage = state.confirmation
    assert stage.standings[0].candidate == Candidate("c", 0.01)
    assert stage.standings[0].is_better
    assert state.ended


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_the_baseline_is_in_every_rung_and_confirmed(random):
    means = EQUAL | {"none": 0.1}
    state, _ = carried_out(design_of(), Truth(means, random=random))
    assert all(any(one.arm == "none" for one in rung.means) for rung in state.rungs)
    assert state.confirmation.baseline.arm == "none"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_nothing_is_tested_on_a_seed_that_chose(random):
    design = design_of()
    state, _ = carried_out(design, Truth(EQUAL, random=random))
    chose = {cell.seed for rung in state.rungs for cell in rung.cells}
    tested = {cell.seed for cell in state.confirmation.cells}
    assert chose == set(design.exploring_seeds)
    assert not chose & tested
    assert tested <= set(design.seeds) | set(design.control_seeds)


def test_other_scores_of_the_seeds_that_chose_change_no_comparison():
    design = design_of(arms=("none", "a"), rates=(0.01,), random=Candidate("a", 0.01))
    state, scores = carried_out(design, Truth({"none": 0.9, "a": 0.91}))
    for cell in scores:
        if cell.seed in design.exploring_seeds:
            scores[cell] += 0.05 * (cell.arm == "a")
    other = follow(design, scores)
    assert other.confirmation.standings == state.confirmation.standings


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_in_which_trials_end_changes_nothing(random, order):
    design, truth = design_of(), Truth(EQUAL, random=random)
    whole, every = carried_out(design, truth)
    scores, handed = {}, []
    while True:
        handed += [c for c in follow(design, scores).wanted if c not in handed]
        waiting = [cell for cell in handed if cell not in scores]
        if not waiting:
            break
        cell = order.choice(waiting)
        scores[cell] = truth(cell)
    assert set(scores) >= set(every)
    assert follow(design, scores).confirmation == whole.confirmation


def test_the_next_rung_begins_before_the_last_trial_of_this_one_has_ended():
    design, truth = design_of(), Truth(EQUAL | {"c": 0.99})
    first = follow(design, {}).wanted
    scores = {cell: truth(cell) for cell in first[:-1]}
    wanted = follow(design, scores).wanted
    assert first[-1] in wanted
    assert any(cell.epochs == design.rungs[1] for cell in wanted)


@pytest.mark.parametrize("budget", [50, 200, 400, 700, 1200])
def test_no_trial_is_wanted_that_the_budget_does_not_hold(budget):
    design = design_of(budget=budget)
    state, scores = carried_out(design, Truth(EQUAL))
    assert cost(scores) == state.spent <= budget


def test_a_budget_that_cannot_confirm_says_nothing_of_any_arm():
    state, _ = carried_out(design_of(budget=50), Truth(EQUAL))
    assert state.confirmation is None
    assert state.ended


def test_with_less_budget_fewer_arms_are_confirmed():
    def confirmed(budget):
        state, _ = carried_out(design_of(budget=budget), Truth(EQUAL, noise=0.05))
        return len(state.confirmation.standings)

    assert confirmed(10**6) == 3
    assert confirmed(450) < 3


def test_a_clear_winner_is_told_at_the_first_look_and_gets_no_further_seeds():
    design = design_of(seeds=40)
    state, _ = carried_out(design, Truth(EQUAL | {"c": 0.99}))
    stage = state.confirmation
    assert len(stage.looks) == 2
    assert stage.looked == 1
    assert "no other is likely to be better" in stage.standings[0].left
    assert {cell.seed for cell in stage.cells} & set(design.seeds) == set(range(20))


def test_levels_of_looks_add_up_to_the_whole():
    for pairs in range(1, 60):
        for arms in (1, 2, 3):
            planned = looks(pairs, arms)
            assert sum(look.level for look in planned) == pytest.approx(0.05)
            assert planned[-1].pairs == pairs


def test_a_failed_trial_takes_its_pair_and_in_a_rung_its_candidate():
    design = design_of()
    truth = Truth(EQUAL | {"c": 0.95})

    def failing(cell):
        explored = cell.arm == "b" and cell.seed == design.exploring_seeds[0]
        return np.nan if explored or cell[:3] == ("c", 0.01, 3) else truth(cell)

    state, _ = carried_out(design, failing)
    names = [one.candidate.arm for one in state.confirmation.standings]
    assert "b" not in names
    best = state.confirmation.standings[names.index("c")]
    assert best.pairs == state.confirmation.seeds - 1


def test_both_controls_run_on_the_fresh_seeds():
    design = design_of(random=Candidate("e", 0.1))
    state, _ = carried_out(design, Truth(EQUAL | {"c": 0.95}))
    cells, stage = set(state.confirmation.cells), state.confirmation
    for index in range(stage.seeds):
        assert design.random.cell(design.seeds[index], 9) in cells
        assert stage.baseline.cell(design.control_seeds[index], 9) in cells


def test_variants_enter_where_their_parent_is_among_the_best():
    variants = (("b@first", "b"), ("c@first", "c"), ("d@first", "d"))
    design = design_of(variants=variants)
    truth = Truth(EQUAL | {"c": 0.99, "b": 0.97, "c@first": 0.999, "b@first": 0.9}, noise=0.001)
    state, scores = carried_out(design, truth)
    ran = {cell.arm for cell in scores}
    assert {"b@first", "c@first"} <= ran
    assert "d@first" not in ran
    assert state.confirmation.standings[0].candidate.arm == "c@first"


def test_a_design_survives_being_written_down():
    import json

    design = design_of(variants=(("a@first", "a"),), smallest_effect=0.01)
    assert SearchDesign.of_document(json.loads(json.dumps(design.document()))) == design


def test_seeds_of_the_user_are_never_those_that_choose():
    design = replace(design_of(), seeds=(0, 3, 5))
    every = [*design.seeds, *design.exploring_seeds, *design.control_seeds]
    assert len(set(every)) == len(every)


@settings(max_examples=60, deadline=None)
@given(
    arms=st.integers(2, 6),
    rates=st.integers(1, 2),
    length=st.integers(1, 12),
    more=st.integers(0, 400),
    random=st.integers(0, 9),
)
def test_the_budget_that_is_asked_for_confirms_an_arm_on_seeds_enough(
    arms, rates, length, more, random
):
    """And so does every larger one, however many seeds explore."""
    design = design_of(ARMS[:arms], rates=(0.01, 0.1)[:rates], length=length)
    one = exploration_cost(arms, 0, rates, design.rungs)
    budget = epochs_needed(design) + more
    explorers = explorers_within(budget, one, length)
    state, _ = carried_out(
        replace(design, budget=budget, explorers=explorers),
        Truth(dict.fromkeys(ARMS, 0.5), random=random),
    )
    assert state.confirmation.looks[-1].pairs >= pairs_needed(0.05)
