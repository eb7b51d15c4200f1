"""Worker processes: records whatever happens to one, the same for any number of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from executors.workers import Recipe
from normcraft._core.errors import WorkerError
from normcraft.executors import Job, processes
from normcraft.records import TrialSpec

BLANK = dict.fromkeys((field.name for field in fields(TrialSpec)), None)


def group(*arms, seed=0):
    return tuple(TrialSpec(**{**BLANK, "arm": arm, "seed": seed}) for arm in arms)


def run(groups, **settings):
    return list(processes.run(Job(Recipe(), groups, **settings)))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_trial_has_its_record_whatever_the_number_of_workers(workers):
    groups = [group("a", "a", seed=seed) for seed in range(4)]
    records = run(groups, workers=workers)
    assert sorted(record.score for record in records) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert {record.machine["threads"] for record in records} == {"1"}
    assert all(len(record.machine["core"].split(",")) == 1 for record in records)


def test_groups_that_records_make_necessary_are_trained():
    further = [[group("b", seed=2)], [group("a", seed=3), group("b", seed=4)]]
    asked = lambda: further.pop(0) if further else []  # noqa: E731
    records = run([group("a", seed=1)], workers=2, more=asked)
    assert sorted(record.spec.seed for record in records) == [1, 2, 3, 4]


def test_workers_have_cores_of_their_own():
    records = run([group("a/slow", seed=seed) for seed in range(2)], workers=2)
    assert len({record.machine["process"] for record in records}) == 2
    assert len({record.machine["core"] for record in records}) == min(
        2, len(os.sched_getaffinity(0))
    )


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("killed", "worker process: killed by SIGKILL (out of memory, perhaps)"),
        ("segfault", "worker process: killed by SIGSEGV"),
        ("exits", "worker process: ended with exit code 3: the last words"),
        ("hangs", "worker process: took longer than 2 s"),
    ],
)
def test_a_lost_worker_is_a_failed_record_and_the_sweep_goes_on(what, reason):
    groups = [group("a", f"a/{what}", "a"), group("b")]
    records = run(groups, workers=1, trial_timeout=2 if what == "hangs" else None)
    assert [(r.spec.arm, r.outcome) for r in records] == [
        ("a", "finished"),
        (f"a/{what}", "failed"),
        ("a", "finished"),
        ("b", "finished"),
    ]
    assert records[1].reason == reason


def test_what_a_trial_prints_does_not_get_in_the_way(capfd):
    assert [record.outcome for record in run([group("a/talks", "a")], workers=1)] == [
        "finished"
    ] * 2
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("start", "line"),
    [
        ("refuses", "a worker process cannot begin: received class 'Mine' is not to be found"),
        ("breaks", "a worker process cannot begin: .*RuntimeError: no backend here"),
    ],
)
def test_a_worker_that_cannot_begin_is_one_clear_line(start, line):
    with pytest.raises(WorkerError, match=line):
        list(processes.run(Job(Recipe(start), [group("a")], workers=1)))


def test_a_worker_that_is_killed_while_it_begins_costs_a_trial():
    records = list(processes.run(Job(Recipe("killed"), [group("a", "a")], workers=1)))
    assert [record.outcome for record in records] == ["failed", "failed"]
    assert {record.reason for record in records} == {
        "worker process: killed by SIGKILL (out of memory, perhaps)"
    }


def test_epochs_are_heard_of_here():
    heard = []
    run([group("a", "a")], workers=1, on_epoch=lambda spec, epoch: heard.append((spec.arm, epoch)))
    assert heard == [("a", 1), ("a", 1)]


def test_after_a_stop_running_trials_finish_and_none_begins():
    records = []
    job = Job(
        Recipe(),
        [group("a/slow", "a/slow", "a/slow", seed=seed) for seed in range(3)],
        workers=1,
        stopping=lambda: bool(records),
    )
    for record in processes.run(job):
        records.append(record)
    assert 1 <= len(records) <= 2, "the one that was running, and no more"


def test_after_a_stop_all_trials_that_are_trained_at_once_finish():
    heard = []
    job = Job(
        Recipe(at_once=4),
        [group(*["a/slow"] * 6, seed=seed) for seed in range(2)],
        workers=1,
        stopping=lambda: bool(heard),
        on_epoch=lambda spec, epoch: heard.append(spec),
    )
    assert len(list(processes.run(job))) == 4


def test_a_worker_goes_on_with_the_arms_that_it_knows():
    groups = [group(f"{arm}/slow", seed=seed) for seed in range(3) for arm in "ab"]
    records = run(groups, workers=2)
    seen = {(record.spec.arm, record.machine["process"]) for record in records}
    assert len(seen) == 2


SCRIPT = """
import sys
print("the script runs", flush=True)
from executors.test_processes import group, processes, Job, Recipe
for record in processes.run(Job(Recipe(), [group("a/{what}")], workers=1)):
    print(record.outcome, flush=True)
"""


def script(tmp_path, what):
    file = tmp_path / "script.py"
    file.write_text(SCRIPT.replace("{what}", what))
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, str(file)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_script_without_a_main_guard_does_not_run_again(tmp_path):
    assert script(tmp_path, "").communicate()[0].split("\n") == ["the script runs", "finished", ""]


def test_workers_end_with_the_process_that_started_them(tmp_path):
    parent = script(tmp_path, "hangs")
    assert parent.stdout.readline()
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    found = until(lambda: children.read_text().split())
    parent.kill()
    parent.communicate()
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in found))


def until(condition):
    deadline = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found
