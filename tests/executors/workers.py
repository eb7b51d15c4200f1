"""Workers that finish, die, hang or talk, for the tests of executors; found by child processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from normcraft._core.errors import InputError
from normcraft.records import TrialRecord


@dataclass(frozen=True)
class Recipe:
    """Makes a worker whose trials do what their arm's name says, as many at once as it is told."""

    on_start: str = ""
    at_once: int = 1

    def __call__(self, on_epoch):
        if self.on_start == "refuses":
            raise InputError("class 'Mine' is not to be found")
        if self.on_start == "breaks":
            raise RuntimeError("no backend here")
        act(self.on_start)

        def worker(group):
            for first in range(0, len(group), self.at_once):
                yield [trained(spec, on_epoch) for spec in group[first : first + self.at_once]]

        return worker


def trained(spec, on_epoch):
    act(spec.arm.partition("/")[2])
    on_epoch(spec, 1)
    machine = {"process": str(os.getpid()), "core": str(os.sched_getaffinity(0))}
    machine["threads"] = os.environ["OMP_NUM_THREADS"]
    return TrialRecord(spec, "finished", score=float(spec.seed), machine=machine)


def act(what):
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "exits":
        print("the last words", file=sys.stderr)
        os._exit(3)
    elif what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == "hangs":
        time.sleep(3600)
    elif what == "talks":
        print("x" * 1_000_000)
        sys.stdout.flush()
    elif what == "slow":
        time.sleep(0.5)
    elif what == "raises":
        raise RuntimeError("the worker itself")
    elif what.startswith("once:") and not Path(what[5:]).exists():
        Path(what[5:]).touch()
        act("killed")
