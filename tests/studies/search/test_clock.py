"""The clock of a search: what a trial's time tells, and when the time is over."""

from __future__ import annotations

import pytest

from normcraft.records import Epoch, TrialRecord
from normcraft.studies.search import clock
from normcraft.studies.search.clock import Clock
from trials import spec_of

COMPILATION, EPOCH = 10.0, 1.0


@pytest.fixture
def now(monkeypatch):
    """The time, which stands still unless a test moves it."""
    moment = [0.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: moment[0])
    return moment


def record_of(arm="none", epochs=1, *, compiling=0.0, share=1, **changes) -> TrialRecord:
    seconds = [(compiling * (epoch == 0) + EPOCH) / share for epoch in range(epochs)]
    curve = tuple(Epoch(epoch + 1, 0.5, 0.5, 0.5, 0.5, s) for epoch, s in enumerate(seconds))
    fields = dict(outcome="finished", curve=curve, seconds=sum(seconds)) | changes
    return TrialRecord(spec_of(arm, epochs=epochs), **fields)


def told(watch, *settings, **others):
    """Two trials of an arm: the first compiles."""
    watch.count(record_of(*settings, compiling=COMPILATION, **others))
    watch.count(record_of(*settings, **others))


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_first_trial_that_compiles_does_not_end_a_search(now, epochs):
    watch = Clock(90.0, length=10)
    now[0] = COMPILATION + EPOCH
    watch.count(record_of(epochs=epochs, compiling=10 * COMPILATION))
    assert not watch.is_over
    watch.count(record_of(epochs=epochs))
    now[0] = 79.0
    assert not watch.is_over
    now[0] = 81.0
    assert watch.is_over


def test_trials_of_one_program_compile_together(now):
    watch = Clock(90.0, length=10)
    for _ in range(2):
        watch.count(record_of(compiling=COMPILATION, share=2))
    now[0] = 60.0
    assert not watch.is_over


def test_every_worker_process_compiles_for_itself(now):
    watch = Clock(90.0, length=10, workers=2)
    watch.count(record_of(compiling=COMPILATION))
    watch.count(record_of(compiling=COMPILATION + 1))
    now[0] = 60.0
    assert not watch.is_over
    watch.count(record_of())
    now[0] = 81.0
    assert watch.is_over


def test_the_slowest_arm_decides(now):
    watch = Clock(90.0, length=10)
    told(watch, "none", 3)
    told(watch, "slow", 3, share=0.5)
    now[0] = 71.0
    assert watch.is_over


def test_a_time_that_is_over_stays_so(now):
    watch = Clock(90.0, length=10)
    told(watch, epochs=2, share=0.5)
    now[0] = 75.0
    assert watch.is_over
    watch.count(record_of(epochs=2))
    assert watch.is_over


def test_without_any_pace_the_time_is_over_when_it_is(now):
    watch = Clock(90.0, length=10)
    watch.count(record_of(compiling=COMPILATION))
    now[0] = 91.0
    assert watch.is_over


def test_a_trial_that_did_not_run_has_no_pace(now):
    watch = Clock(90.0, length=10)
    told(watch, epochs=2)
    watch.count(record_of(outcome="failed", curve=(), seconds=0.0))
    assert watch.worth == 81
    now[0] = 81.0
    assert watch.is_over


def test_a_trial_that_diverged_early_took_the_time_of_its_own_epochs(now):
    watch = Clock(90.0, length=10)
    curve = record_of(epochs=2).curve
    watch.count(record_of(epochs=10, outcome="diverged", curve=curve, seconds=2 * EPOCH))
    assert watch.worth == 81


def test_without_a_limit_it_is_never_over(now):
    watch = Clock(None, length=10)
    told(watch, epochs=2)
    now[0] = 1e9
    assert not watch.is_over


def test_time_is_worth_as_many_epochs_as_run_side_by_side_in_it(now):
    watch = Clock(100.0, length=10, workers=2, together=4)
    watch.count(record_of(epochs=2))
    assert watch.worth == 720
