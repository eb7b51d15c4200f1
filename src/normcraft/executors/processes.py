"""Runs trials in worker processes of one core each; what happens to one ends no other.

A process that dies, hangs or is killed for memory makes its trial a failed record; another takes
its place and the rest of the group. Every worker has one thread on one core, however many workers
there are, so the numbers do not depend on their number.

Built on `subprocess` and pipes: `multiprocessing` and the libraries on it run a user's script again
in every child, share queues whose locks a killed worker takes with it, or end the whole pool with
one of its processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from normcraft._core.cores import cores
from normcraft._core.errors import InputError, WorkerError
from normcraft.executors._job import Group, Job
from normcraft.executors._next_group import next_group
from normcraft.executors._threads import PLAN, one_thread
from normcraft.records import TrialRecord

__all__ = ["PLAN", "SHARES_FILES", "SHARES_MEMORY", "run"]

SHARES_MEMORY = False
SHARES_FILES = True

STARTUP_SECONDS = 300
TICK = 1.0  # seconds after which a stop is noticed while all workers are silent


def run(job: Job) -> Iterator[TrialRecord]:
    """Runs groups side by side.

    A waiting group of an arm that a worker has compiled already goes to that worker, if there is
    one among the next few.

    Args:
        job: The trials; `workers` None takes as many as there are cores.

    Yields:
        Records as they are finished, in any order. After `job.stopping` running trials finish.

    Raises:
        InputError: On systems that cannot hand a pipe to a process (Windows).
        WorkerError: If a process cannot even begin: its last words say why.
    """  # noqa: DOC502 - _Process raises it
    if os.name != "posix":
        raise InputError(
            "worker processes need Linux or macOS", hint="use --executor local on this system"
        )
    available = cores()
    waiting = deque(job.groups)
    # No further than the groups of two seeds: pairs are to be complete wherever a study stops.
    reach = 2 * len({group[0].arm for group in waiting})
    count = min(job.workers or len(available), len(waiting))
    with ExitStack() as running:
        crew = [
            running.enter_context(_Process(job, available[index % len(available)]))
            for index in range(count)
        ]
        while waiting or any(process.specs for process in crew):
            if job.stopping():
                waiting.clear()
                for process in crew:
                    process.stop()
            for process in crew:
                if waiting and process.is_free:
                    process.begin(next_group(waiting, process.arms, reach))
            for process in _to_hear(crew):
                yield from process.hear()
                if process.left:
                    waiting.appendleft(process.left)
                    process.left = ()
            if not waiting and not job.stopping():
                waiting.extend(job.more())


def _to_hear(crew: list[_Process]) -> list[_Process]:
    # Those that have said something, died or outstayed their time; waits a moment for one.
    busy = [process for process in crew if process.specs]
    spoke = wait(
        [process.connection for process in busy],
        min((TICK, *(process.seconds_left for process in busy))),
    )
    return [one for one in busy if one.connection in spoke or one.seconds_left <= 0]


class _Process:
    """One worker process at a time, and what it has been told to do.

    Attributes:
        specs: Trials of the running group that have no record yet.
        left: Trials of a group whose process died, for another.
        arms: Arms that the process has trained.
    """

    def __init__(self, job: Job, core: int) -> None:
        self._job, self._core = job, core
        self.specs: Group = ()
        self.left: Group = ()
        self.arms: set[str] = set()
        self._stopping = self._was_ready = False

    def __enter__(self) -> _Process:
        self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    @property
    def is_free(self) -> bool:
        return not self.specs and not self._stopping

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def begin(self, group: Group) -> None:
        """Hands a group to the process."""
        self.specs, self.arms = group, self.arms | {group[0].arm}
        self._renew_deadline()
        self._tell(group)

    def stop(self) -> None:
        """Lets the process end its group after the running trials."""
        if not self._stopping:
            self._stopping = True
            self._tell(None)

    def hear(self) -> Iterator[TrialRecord]:
        """Takes one message; the process's death, or too long a silence, is one as well."""
        if not self.connection.poll():
            yield self._lose(f"took longer than {self._job.trial_timeout:g} s")
            return
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            words = self._last_words()
            if not self._was_ready and self._process.returncode >= 0:  # ended by itself: hopeless
                raise _cannot_begin(words) from None
            yield self._lose(words)
            return
        if kind == "refused":
            raise _cannot_begin(content)
        if kind == "epoch":
            self._job.on_epoch(*content)
            return
        self._is_ready = self._was_ready = True
        self._renew_deadline()
        if kind == "records":
            self.specs = self.specs[len(content) :]
            yield from content
        elif kind == "stopped":
            self.specs = ()

    def _start(self) -> None:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `_end`
        self.connection, theirs = Pipe()
        self.arms = set()
        module, pipe = "normcraft.executors._child", theirs.fileno()
        with theirs, _ctrl_c_blocked():
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(pipe), str(self._core)],
                env=_environment(),
                pass_fds=[pipe],
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=self._words,
            )
        self._is_ready = False
        self._tell(self._job.make_worker)

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self.connection.close()
        self._words.close()

    def _tell(self, order: Any) -> None:
        with suppress(OSError):  # where it is dead already, `hear` finds that out
            self.connection.send(order)

    def _renew_deadline(self) -> None:
        limit = self._job.trial_timeout or float("inf")
        self._deadline = time.monotonic() + limit + (0 if self._is_ready else STARTUP_SECONDS)

    def _lose(self, reason: str) -> TrialRecord:
        lost, self.left, self.specs = self.specs[0], self.specs[1:], ()
        self._end()
        self._start()
        return TrialRecord(lost, "failed", reason=f"worker process: {reason}")

    def _last_words(self) -> str:
        code = self._process.wait()
        self._words.seek(0)
        lines = self._words.read()[-4096:].decode(errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if code < 0:
            name = signal.Signals(-code).name
            hint = " (out of memory, perhaps)" if name == "SIGKILL" else ""
            return f"killed by {name}{hint}"
        return f"ended with exit code {code}{': ' + said[:200] if said else ''}"


def _cannot_begin(reason: str) -> WorkerError:
    return WorkerError(
        "a worker process cannot begin",
        received=reason,
        hint="use --executor local, or mend what it says",
    )


def _environment() -> dict[str, str]:
    path = [entry or str(Path.cwd()) for entry in sys.path]
    return {**os.environ, **one_thread(), "PYTHONPATH": os.pathsep.join(path)}


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    # A child inherits it: until it ignores Ctrl-C, which is the study's to handle, none reaches it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
