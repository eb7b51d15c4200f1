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

# Ray leaves the files of its logs open.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")]


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


def test_where_worker_processes_stopped_ray_goes_on_and_a_lost_node_changes_no_bit(
    cluster, whole, tmp_path
):
    (tmp_path / "s.db").write_bytes(whole.read_bytes())
    progress = Losing(cluster)
    with Store(tmp_path / "s.db") as store:
        store._connection.execute("DELETE FROM trial WHERE rowid % 2")
        result = study("ray").run(store, progress=progress)
    add_node(cluster)
    assert result.summary.executor == "ray"
    assert records(tmp_path / "s.db") == records(whole)
    assert list(progress.records.values()) == [1] * (TRIALS // 2), "none lost, none twice"
    assert len(progress.epochs) == 3 * TRIALS // 2
    assert not (tmp_path / "s.models" / "travelling").exists()


def test_a_driver_that_is_killed_and_started_again_comes_to_the_same(cluster, whole, tmp_path):
    store = tmp_path / "s.db"
    run = Run(str(store), "ray")
    for _ in islice((word for word in run.words() if word == "written"), 4):
        pass
    run.kill()
    before = records(store)
    assert 4 <= len(before) < TRIALS
    until(lambda: free_cores() == 2)  # no worker goes on for nobody
    finish(str(store), "ray")
    check(store, whole)
    assert {key: records(store)[key] for key in before} == before


def test_ctrl_c_twice_stops_and_no_worker_is_left(cluster, tmp_path):
    store = tmp_path / "s.db"
    run = Run(str(store), "ray")
    words = run.words()
    wait_for(words, "written")
    for word in ("epoch", "stopping"):
        wait_for(words, word)
        run.interrupt()
    rest = list(words)
    assert "KeyboardInterrupt" in run.close()
    assert run.process.returncode == -signal.SIGINT
    assert "end" not in rest
    assert len(records(store)) < TRIALS
    until(lambda: free_cores() == 2)
