"""The next arm is compiled while one trains, and trains as if it had not been."""

from __future__ import annotations

import threading

import keras
import pytest

pytest.importorskip("jax")

from normcraft.data import load_dataset
from normcraft.studies.best_models import Candidates
from normcraft.studies.worker import MakeWorker
from normcraft.surgery import place
from normcraft.trainers import ensure_compiled, find_objective
from trials import small_model, spec_of, trained, without_times

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is JAX's trainer")

ARMS = ("none", "before_activation", "after_activation")


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def worker_of(digits, tmp_path, order):
    model = small_model(24)
    ensure_compiled(model, digits.y_train)
    objective = find_objective(model, digits.x_train[:8], digits.y_train[:8])
    models = {arm: place(model, arm).model for arm in ARMS}
    candidates = Candidates(tmp_path, 1)
    parts = MakeWorker(models, digits, objective, {}, candidates, order=order)
    return parts(lambda spec, epoch: None)


def specs(**changes):
    return [spec_of(arm, trainer="fused", **changes) for arm in ARMS]


def test_records_are_those_of_arms_compiled_one_by_one(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("normcraft.studies.worker.num_cores", lambda: 2)
    ahead, plain = worker_of(digits, tmp_path, specs()), worker_of(digits, tmp_path, ())
    for spec in specs():
        (found,), (wanted,) = trained(ahead, (spec,)), trained(plain, (spec,))
        assert without_times(found) == without_times(wanted)
    assert not [thread for thread in threading.enumerate() if thread.name == "compile ahead"]


def test_the_next_arm_is_begun_while_one_trains(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("normcraft.studies.worker.num_cores", lambda: 2)
    worker = worker_of(digits, tmp_path, specs())
    list(worker((specs()[0],)))
    assert list(worker._trainers) == list(ARMS[:2])


def test_with_one_core_nothing_is_compiled_ahead(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("normcraft.studies.worker.num_cores", lambda: 1)
    worker = worker_of(digits, tmp_path, specs())
    list(worker((specs()[0],)))
    assert list(worker._trainers) == list(ARMS[:1])


def test_what_goes_wrong_ahead_is_told_by_its_own_trial(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("normcraft.studies.worker.num_cores", lambda: 2)
    worker = worker_of(digits, tmp_path, specs())
    make = MakeWorker.trainer

    def broken(self, spec, *width):
        if spec.arm == ARMS[1]:
            raise ValueError("no such arm")
        return make(self, spec, *width)

    monkeypatch.setattr(MakeWorker, "trainer", broken)
    outcomes = [trained(worker, (spec,))[0].outcome for spec in specs()]
    assert outcomes == ["finished", "failed", "finished"]
