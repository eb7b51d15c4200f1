"""The execution plan: chosen by measuring, kept by the store."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import keras
import pytest

from normcraft.data import load_dataset
from normcraft.studies import Budget, Grid, Options, Store, Study, plan
from normcraft.studies.plan import Plan, groups_of
from normcraft.studies.rehearsal import Rehearsal, Rehearsed
from normcraft.studies.running import parts_of
from trials import on_processor, small_model, spec_of

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is for JAX's trainer")


def study_of(*, seeds=4, **options) -> Study:
    return Study(
        small_model(),
        load_dataset("digits"),
        grid=Grid(placements=("none", "before_activation")),
        budget=Budget(seeds=seeds, epochs=1, steps_per_epoch=3),
        options=Options(**options),
    )


def kept(path, study) -> Plan:
    with Store(path) as store:
        return Plan(**store.plan(study.specs))


def specs(seeds, arms=("a", "b"), rates=(0.1,)):
    return [
        spec_of(arm, seed=seed, rate=rate)
        for seed in range(seeds)
        for arm in arms
        for rate in rates
    ]


def test_groups_are_of_one_arm_and_leave_pairs():
    groups = groups_of(specs(5), 2)
    assert [[(one.arm, one.seed) for one in group] for group in groups] == [
        [("a", 0), ("a", 1)],
        [("b", 0), ("b", 1)],
        [("a", 2), ("a", 3)],
        [("b", 2), ("b", 3)],
        [("a", 4)],
        [("b", 4)],
    ]


def test_learning_rates_of_a_seed_are_one_group():
    groups = groups_of(specs(2, rates=(0.1, 0.2)), 1)
    assert [len(group) for group in groups] == [2, 2, 2, 2]
    groups = groups_of(specs(4, rates=(0.1, 0.2)), 4)
    assert [len(group) for group in groups] == [4, 4, 4, 4]
    assert groups_of([], 8) == []


def test_learning_rates_of_a_group_stand_in_order_each_of_which_may_be_another_program():
    (group,) = groups_of(specs(2, arms=("a",), rates=(0.2, 0.1)), 4)
    assert [(one.learning_rate, one.seed) for one in group] == [
        (0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1),
    ]  # fmt: skip


def rehearsed(seconds):
    return lambda *_: Rehearsed({}, seconds) if seconds else None


def chosen(monkeypatch, here, there, count=8):
    monkeypatch.setattr(plan, "_here", rehearsed(here))
    monkeypatch.setattr(plan, "_there", rehearsed(there))
    monkeypatch.setattr(plan, "_most_together", lambda *_: count)
    monkeypatch.setattr(plan, "num_cores", lambda: 2)
    monkeypatch.setattr(plan, "PAYS", 100.0)
    study = study_of()
    parts = parts_of(study, None)
    return plan.make_plan("auto", parts, study.specs, contextmanager(iter))


@on_jax
@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ({(1, 1): 9.0}, {(1, 1): 10.0}, ("processes", 1, 1)),
        ({(1, 1): 9.0, (8, 1): 6.0}, {(1, 1): 19.0}, ("local", 8, 1)),
        ({(1, 1): 9.0, (8, 1): 6.0}, {(1, 1): 20.0, (8, 1): 11.0}, ("processes", 8, 1)),
        ({(1, 1): 9.0, (2, 2): 6.0}, {(1, 1): 13.0}, ("local", 2, 2)),
        ({(1, 1): 9.0}, {(1, 1): 19.0}, ("local", 1, 1)),
        ({(1, 1): 1e-3, (8, 1): 5e-4}, {(1, 1): 1e-9}, ("local", 8, 1)),
        ({(1, 1): float("inf")}, {(1, 1): 1e-9}, ("local", 1, 1)),
        ({(1, 1): 9.0}, None, ("local", 1, 1)),
    ],
)
def test_the_faster_plan_is_chosen_where_much_is_left(monkeypatch, here, there, expected):
    found = chosen(monkeypatch, here, there)
    assert (found.executor, found.together, found.strands) == expected


@on_processor
@on_jax
def test_programs_side_by_side_are_timed_while_they_are_faster(monkeypatch):
    from normcraft.studies import rehearsal
    from normcraft.trainers.fused import FusedTrainer

    tried = []  # and the memory that they would take is looked at

    def timed(self, trial, strands):
        tried.append((self.together, strands))
        return {1: 0.005, 2: 0.003, 4: 0.004}[strands]

    monkeypatch.setattr(FusedTrainer, "step_seconds", timed)
    monkeypatch.setattr(rehearsal, "num_cores", lambda: 8)
    parts = replace(parts_of(study_of(), None), together=7)
    found = rehearsal._seconds(parts, study_of().specs[-1])
    assert tried == [(1, 1), (1, 2), (1, 4)]
    assert Rehearsed({}, found).fastest == (2, 2)
    monkeypatch.setattr("normcraft.trainers.fused.trainer.device_memory", lambda: 2**10)
    assert list(rehearsal._seconds(parts, study_of().specs[-1])) == [(1, 1)]


@on_processor
@on_jax
def test_steps_are_timed_and_nothing_is_trained():
    study = study_of()
    parts = parts_of(study, None)
    sizes = {arm.name: 32 for arm in study.arms}
    make = partial(Rehearsal, sizes=sizes, forms=True, steps=True)
    parts = replace(parts, together=8, make=make)
    ((found,),) = parts(lambda *_: pytest.fail("trained"))((study.specs[-1],))
    assert found.seconds
    assert all(0 < seconds < 1 for seconds in found.seconds.values())


@on_processor
@on_jax
def test_the_worker_goes_on_with_the_trainer_of_the_rehearsal():
    study = study_of()
    spec = study.specs[-1]
    parts = replace(parts_of(study, None), together=2)
    make = partial(Rehearsal, sizes={spec.arm: 32}, forms=False, steps=True)
    ((found,),) = replace(parts, make=make)(lambda *_: pytest.fail("trained"))((spec,))
    (trainer,) = parts.rehearsed.values()
    assert parts.trainer(spec, *found.fastest) is trainer
    assert (trainer.together, trainer.strands) == found.fastest
    assert parts.trainer(spec, *found.fastest) is not trainer, "there is one worker"
    assert not trainer.regroup(7, 1), "that many lanes are another program"


@on_jax
def test_what_cannot_be_timed_is_left_to_the_trials(tmp_path, monkeypatch):
    from normcraft.trainers.fused import FusedTrainer

    monkeypatch.setattr(FusedTrainer, "step_seconds", lambda *_: 1 / 0)
    study = study_of(seeds=1)
    with Store(tmp_path / "s.db") as store:
        result = study.run(store)
    assert result.summary.executor == "local"
    assert [record.outcome for record in result.records] == ["finished"] * 2


@on_jax
def test_a_batch_larger_than_the_data_cannot_be_timed_and_trains(tmp_path):
    study = Study(
        small_model(),
        load_dataset("digits"),
        grid=Grid(placements=("none",), batch_sizes=(2000,)),
        budget=Budget(seeds=2, epochs=1),
    )
    with Store(tmp_path / "s.db") as store:
        result = study.run(store)
    assert [record.outcome for record in result.records] == ["finished"] * 2


@on_jax
def test_a_rehearsal_measures_here_and_the_store_keeps_the_plan(tmp_path, monkeypatch):
    study = study_of(seeds=8)
    with Store(tmp_path / "s.db") as store:
        result = study.run(store)
    found = kept(tmp_path / "s.db", study)
    assert found.executor == result.summary.executor == "local"
    assert found.together // found.strands in {1, 8}
    assert [record.outcome for record in result.records] == ["finished"] * 16
    monkeypatch.setattr(plan, "_here", lambda *_: pytest.fail("measured again"))
    more = study_of(seeds=10)
    with Store(tmp_path / "s.db") as store:
        assert len(more.run(store).records) == 20
    assert kept(tmp_path / "s.db", more) == found


@on_processor
@on_jax
@pytest.mark.slow
def test_where_much_is_left_worker_processes_are_rehearsed(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "PAYS", 0.0)
    monkeypatch.setattr(plan, "num_cores", lambda: 2)
    study = study_of(seeds=4)
    with Store(tmp_path / "s.db") as store:
        result = study.run(store)
    found = kept(tmp_path / "s.db", study)
    assert found.reason is not None
    assert f"trials run where they are faster: {found.reason}" in result.summary.notes
    assert result.summary.executor == found.executor
    assert [record.outcome for record in result.records] == ["finished"] * 8


def test_fit_needs_no_rehearsal(tmp_path):
    study = study_of(seeds=1, trainer="fit")
    with Store(tmp_path / "s.db") as store:
        assert study.run(store).summary.executor == "local"
    assert {spec.plan for spec in study.specs} == {"one process"}
    assert kept(tmp_path / "s.db", study) == Plan()


@on_jax
def test_what_is_in_the_hash_does_not_depend_on_what_was_measured():
    assert {spec.plan for spec in study_of().specs} == {"measured"}
    assert {spec.plan for spec in study_of(executor="local").specs} == {"one process"}
    assert {spec.plan for spec in study_of(executor="processes").specs} == {"1 thread a trial"}
    first = study_of().specs[0]
    assert replace(first, plan="one process").hash != first.hash
