"""Cores that processes take for themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

TAKES = """
import os
from normcraft._core.cores import take_core
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
held = take_core()
print(*os.sched_getaffinity(0), held is not None, flush=True)
input()
"""


@pytest.mark.any_backend
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no process is tied to cores")
def test_each_process_takes_a_core_of_its_own_until_there_is_none(tmp_path):
    cores = sorted(os.sched_getaffinity(0))[:2]
    with ExitStack() as running:
        processes = [running.enter_context(taking(tmp_path)) for _ in range(3)]
        said = [process.stdout.readline().split() for process in processes]
        for process in processes:
            process.communicate("\n")
    own = sorted(int(core) for core, is_own in said if is_own == "True")
    shared = [int(core) for core, is_own in said if is_own == "False"]
    assert own == cores
    assert len(shared) == 3 - len(cores)
    assert set(shared) <= set(cores)


def taking(folder):
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-c", TAKES],
        env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
