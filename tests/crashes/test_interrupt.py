"""Ctrl-C once: running trials finish and are kept. Twice: stop now. Either way it goes on later."""

from __future__ import annotations

import signal
import time

import keras
import pytest

from crashes.runs import TRIALS, Run, finish, records

pytestmark = pytest.mark.slow

HEARD = 10  # seconds; a program takes one, and the machine is shared


@pytest.fixture(params=["local", "processes"])
def executor(request):
    return request.param


def wait_for(words, wanted):
    for word in words:
        if word == wanted:
            return
    pytest.fail(f"it never said {wanted!r}")


def test_once_lets_running_trials_finish(executor, tmp_path):
    store = tmp_path / "s.db"
    run = Run(str(store), executor)
    words = run.words()
    wait_for(words, "written")
    wait_for(words, "epoch")
    run.interrupt()
    wait_for(words, "stopping")
    rest = list(words)
    error = run.close()
    assert run.process.returncode == -signal.SIGINT, error
    assert "KeyboardInterrupt" in error
    assert rest.count("written") >= 1, "the running trial was kept"
    assert "end" not in rest
    before = records(store)
    assert {record.outcome for record in before.values()} == {"finished"}
    assert 2 <= len(before) < TRIALS
    assert not list(store.with_suffix(".models").glob("travelling"))
    finish(str(store), executor)
    after = records(store)
    assert len(after) == TRIALS
    assert {key: after[key] for key in before} == before


def test_twice_stops_at_once(executor, tmp_path):
    store = tmp_path / "s.db"
    run = Run(str(store), executor)
    words = run.words()
    wait_for(words, "epoch")
    run.interrupt()
    wait_for(words, "stopping")
    run.interrupt()
    rest = list(words)
    assert "KeyboardInterrupt" in run.close()
    assert run.process.returncode == -signal.SIGINT
    assert rest.count("written") <= 1


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only there are epochs compiled")
def test_in_the_midst_of_an_epoch_that_takes_minutes(tmp_path):
    store = str(tmp_path / "s.db")
    run = Run(store, "local", "300000")
    words = run.words()
    for word in ("start", "stopping"):
        wait_for(words, word)
        time.sleep(2)
        run.interrupt()
        started = time.perf_counter()
    assert list(words) == []
    assert time.perf_counter() - started < HEARD
    assert "KeyboardInterrupt" in run.close()
    assert run.process.returncode == -signal.SIGINT
    assert records(store) == {}
    finish(store, "local")
    assert len(records(store)) == TRIALS
