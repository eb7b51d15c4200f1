"""Studies on Ray: the records and models of worker processes, whatever happens on the way."""

from __future__ import annotations

import signal
from collections import Counter
from itertools import islice

import pytest

from clusters import add_node, free_cores, started
from crashes.runs import TRIALS, Run, finish, records
from crashes.sweep import study
from crashes.test_interrupt import wait_for
from crashes.test_kill import check
from executors.test_processes import until
from normcraft.studies import Progress, Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    with started(0, 1, 1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The store of worker processes on this machine."""
    store = tmp_path_factory.mktemp("whole") / "s.db"
    finish(str(store), "processes")
    return store


class Losing(Progress):
    """Takes a node away after the third record, and counts them all."""

    def __init__(self, cluster):
        self.cluster, self.records, self.epochs = cluster, Counter(), set()

    def epoch(self, spec, number):
        self.epochs.add((spec.hash, number))

    def record(self, record):
        self.records[record.spec.hash] += 1
        if self.records.total() == 3:
            self.cluster.remove_node(self.cluster.list_all_nodes()[-1], allow_graceful=False)


def test_a_node_that_goes_away_changes_no_bit(cluster, whole, tmp_path):
    progress = Losing(cluster)
    with Store(tmp_path / "s.db") as store:
        result = study("ray").run(store, progress=progress)
    add_node(cluster)
    assert result.summary.executor == "ray"
    check(tmp_path / "s.db", whole)
    assert set(progress.records.values()) == {1}, "none lost, none twice"
    assert len(progress.records) == TRIALS
    assert len(progress.epochs) == 3 * TRIALS
    assert not (tmp_path / "s.models" / "travelling").exists()


def test_ray_goes_on_where_worker_processes_stopped(cluster, whole, tmp_path):
    copy = tmp_path / "s.db"
    copy.write_bytes(whole.read_bytes())
    with Store(copy) as store:
        store._connection.execute("DELETE FROM trial WHERE rowid % 2")
        store._connection.commit()
        progress = Losing(cluster)
        progress.cluster = None
        assert len(store.records(study("ray").specs)) == TRIALS // 2
    finish(str(copy), "ray")
    assert records(copy) == records(whole)


@pytest.mark.parametrize("after", [1, 5])
def test_a_driver_that_is_killed_and_started_again_comes_to_the_same(
    cluster, whole, tmp_path, after
):
    store = tmp_path / "s.db"
    run = Run(str(store), "ray")
    for _ in islice((word for word in run.words() if word == "written"), after):
        pass
    run.kill()
    before = records(store)
    assert after <= len(before) < TRIALS
    until(lambda: free_cores() == 2)  # no worker goes on for nobody
    finish(str(store), "ray")
    check(store, whole)
    assert {key: records(store)[key] for key in before} == before


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_once_lets_running_trials_finish_and_twice_stops(cluster, tmp_path, times):
    store = tmp_path / "s.db"
    run = Run(str(store), "ray")
    words = run.words()
    wait_for(words, "written")
    run.interrupt()
    wait_for(words, "stopping")
    if times == 2:
        run.interrupt()
    rest = list(words)
    assert "KeyboardInterrupt" in run.close()
    assert run.process.returncode == -signal.SIGINT
    assert "end" not in rest
    assert rest.count("written") <= 2
    assert len(records(store)) < TRIALS
    until(lambda: free_cores() == 2)
