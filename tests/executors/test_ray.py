"""Ray: on a real cluster of several nodes, whatever happens to one, the records of this machine."""

from __future__ import annotations

import os
import re
import socket
import sys

import pytest

from clusters import add_node, free_cores, started
from executors.test_processes import group, until
from executors.workers import Recipe
from normcraft._core.errors import MissingDependencyError, WorkerError
from normcraft.executors import Job
from normcraft.executors import ray as on_ray

# Ray leaves the files of its logs open.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")]


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "normcraft\[ray\]"'):
        run([group("a")])


@pytest.fixture(scope="module")
def client_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(client_port):
    with started(0, 1, 1, ray_client_server_port=client_port) as cluster:
        yield cluster


def run(groups, recipe=None, **settings):
    return list(on_ray.run(Job(recipe or Recipe(), groups, **settings)))


@pytest.mark.parametrize("workers", [1, None])
def test_every_trial_has_its_record_whatever_the_number_of_workers(cluster, workers):
    groups = [group("a/slow", "a", seed=seed) for seed in range(4)]
    records = run(groups, workers=workers)
    assert sorted(record.score for record in records) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert {record.machine["threads"] for record in records} == {"1"}
    assert all(len(record.machine["core"].split(",")) == 1 for record in records)
    assert len({record.machine["process"] for record in records}) == (workers or 2)
    until(lambda: free_cores() == 2)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("killed", "worker on Ray: lost 3 times, the last time by this: .*worker process.*"),
        ("hangs", "worker on Ray: took longer than 2 s"),
        ("raises", "worker on Ray: RuntimeError: the worker itself"),
    ],
)
def test_a_trial_that_ends_its_worker_is_a_failed_record_and_the_sweep_goes_on(
    cluster, what, reason
):
    groups = [group("a", f"a/{what}", "a"), group("b")]
    records = run(groups, workers=1, trial_timeout=2 if what == "hangs" else None)
    assert [(r.spec.arm, r.outcome) for r in records] == [
        ("a", "finished"),
        (f"a/{what}", "failed"),
        ("a", "finished"),
        ("b", "finished"),
    ]
    assert re.fullmatch(reason, records[1].reason)


def test_groups_that_records_make_necessary_are_trained(cluster):
    further = [[group("b", seed=2)], [group("a", seed=3), group("b", seed=4)]]
    asked = lambda: further.pop(0) if further else []  # noqa: E731
    records = run([group("a", seed=1)], workers=2, more=asked)
    assert sorted(record.spec.seed for record in records) == [1, 2, 3, 4]


def test_a_trial_whose_worker_is_lost_once_runs_again(cluster, tmp_path):
    arm = f"a/once:{tmp_path / 'mark'}"
    records = run([group("a", arm, "a")], workers=1)
    assert [(r.spec.arm, r.outcome) for r in records] == [
        ("a", "finished"),
        (arm, "finished"),
        ("a", "finished"),
    ]


@pytest.mark.parametrize(
    ("start", "line"),
    [
        ("refuses", "a worker on Ray cannot begin: received class 'Mine' is not to be found"),
        ("breaks", "a worker on Ray cannot begin: received RuntimeError: no backend here"),
        ("killed", "a worker on Ray cannot begin: received .*worker process"),
    ],
)
def test_a_worker_that_cannot_begin_is_one_clear_line(cluster, start, line):
    with pytest.raises(WorkerError, match=line):
        run([group("a")], Recipe(start), workers=1)


def test_where_no_node_has_room_a_line_says_what_was_asked_for(cluster, monkeypatch):
    monkeypatch.setattr(on_ray, "STARTUP_SECONDS", 0)
    line = "no node of the Ray cluster has room for a worker: received .*1 CPU, 2 GPU.*2 CPU"
    with pytest.raises(WorkerError, match=line):
        run([group("a")], resources={"GPU": 2.0})


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nowhere", "a:b"])
def test_a_cluster_that_is_not_there_is_one_clear_line(address):
    pytest.importorskip("ray")
    with pytest.raises(WorkerError, match=f"no Ray cluster can be reached.*{address}"):
        run([group("a")], address=address)


def test_nodes_may_join_and_leave_in_the_midst_of_it():
    processes = []
    with started(0, 1) as cluster:
        first = [node for node in cluster.list_all_nodes() if node is not cluster.head_node]
        groups = [group("a/slow", "a/slow", seed=seed) for seed in range(12)]
        seeds = []
        for record in on_ray.run(Job(Recipe(), groups)):
            seeds.append(record.spec.seed)
            if record.machine["process"] not in processes:
                processes.append(record.machine["process"])
                if len(processes) == 1:
                    add_node(cluster)
                else:
                    cluster.remove_node(*first, allow_graceful=False)
    assert len(processes) == 2
    assert sorted(seeds) == sorted([*range(12), *range(12)]), "none lost, none twice"


def test_epochs_are_heard_of_here(cluster):
    heard = []
    run([group("a", "a")], on_epoch=lambda spec, epoch: heard.append((spec.arm, epoch)))
    assert heard == [("a", 1), ("a", 1)]


def test_after_a_stop_running_trials_finish_and_none_begins(cluster):
    records = []
    job = Job(
        Recipe(),
        [group("a/slow", "a/slow", "a/slow", seed=seed) for seed in range(3)],
        workers=1,
        stopping=lambda: bool(records),
    )
    for record in on_ray.run(job):
        records.append(record)
    assert 1 <= len(records) <= 2, "the one that was running, and no more"


def test_after_a_stop_all_trials_that_are_trained_at_once_finish(cluster):
    heard = []
    job = Job(
        Recipe(at_once=4),
        [group(*["a/slow"] * 6, seed=seed) for seed in range(2)],
        workers=1,
        stopping=lambda: bool(heard),
        on_epoch=lambda spec, epoch: heard.append(spec),
    )
    assert len(list(on_ray.run(job))) == 4


def test_a_worker_goes_on_with_the_arms_that_it_knows(cluster):
    groups = [group(f"{arm}/slow", seed=seed) for seed in range(3) for arm in "ab"]
    records = run(groups, workers=2)
    assert len(records) == 6
    assert len({(record.spec.arm, record.machine["process"]) for record in records}) <= 3


def test_a_ray_that_runs_already_is_used_and_left_running(cluster):
    import ray

    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    try:
        assert len(run([group("a")], address="127.0.0.1:1")) == 1
        assert ray.is_initialized()
    finally:
        ray.shutdown()


def test_from_outside_it_is_reached_by_ray_client(cluster, client_port):
    records = run([group("a", "a/killed"), group("b")], address=f"ray://127.0.0.1:{client_port}")
    assert sorted((record.spec.arm, record.outcome) for record in records) == [
        ("a", "finished"),
        ("a/killed", "failed"),
        ("b", "finished"),
    ]


def test_without_an_address_ray_runs_here_and_ends(monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    assert len(run([group("a"), group("b")], workers=1)) == 2
    assert not ray.is_initialized()
