"""Runs trials on a Ray cluster; a worker that is lost costs time and no trial.

A worker is an actor that lives as long as there are groups, so that an arm is compiled once a
worker, as in worker processes, and what it says is fetched by plain calls, which Ray's client
carries as well. A task a group would compile every arm anew; a generator that streams does not pass
the client. Workers come and go with the nodes of the cluster.

A trial whose worker is lost runs again elsewhere, three times in all: whether a node went away or
the trial ended its process cannot be told apart for certain.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from normcraft._core.errors import WorkerError
from normcraft.executors._job import Group, Job
from normcraft.executors._next_group import next_group
from normcraft.executors._ray_cluster import connected, room
from normcraft.executors._ray_worker import RayWorker
from normcraft.executors._threads import PLAN, one_thread
from normcraft.records import TrialRecord

__all__ = ["PLAN", "SHARES_FILES", "SHARES_MEMORY", "run"]

SHARES_MEMORY = False
SHARES_FILES = False

ONE_CORE = {"CPU": 1.0}
LIVES = 3  # times that a trial is begun, and a worker in succession, before it is given up
STARTUP_SECONDS = 300  # without any worker, as none finds room
TICK = 1.0  # seconds after which a stop and a new node are noticed while all workers are silent
SETTINGS = ("KERAS_", "JAX_", "TF_", "NVIDIA_TF32", "CUBLAS_")  # variables that shape the numbers


def run(job: Job) -> Iterator[TrialRecord]:
    """Runs groups on the cluster at `job.address`, as many as there are workers.

    Args:
        job: The trials; `workers` None takes as many as the nodes have room for, also those that
            join later. A worker takes `resources`, one core where nothing is said.

    Yields:
        Records as they are finished, in any order. After `job.stopping` running trials finish.

    Raises:
        MissingDependencyError: If Ray is not installed.
        WorkerError: If the cluster cannot be reached, or no worker can begin there.
    """  # noqa: DOC502 - raised further down
    with connected(job.address) as ray:
        yield from _Sweep(ray, job).records()


class _Sweep:
    """Groups that wait, and the workers that train the others."""

    def __init__(self, ray: Any, job: Job) -> None:
        self._ray, self._job = ray, job
        self._resources = {**ONE_CORE, **job.resources}
        self._parcel = [ray.put(job.make_worker)]
        self._actor = ray.remote(RayWorker).options(
            **_asked_for(self._resources),
            max_concurrency=2,  # it is asked while it is told
            runtime_env={"env_vars": _environment()},
        )
        self._waiting = deque(job.groups)
        # No further than the groups of two seeds: pairs are complete wherever a study stops.
        self._reach = 2 * len({group[0].arm for group in job.groups})
        self._losses: Counter[str] = Counter()
        self._crew: list[_Seat] = []
        self._failed_starts = self._room = 0
        self._last_look = -TICK
        self._last_ready = time.monotonic()

    def records(self) -> Iterator[TrialRecord]:
        """Trains all groups; no worker is left behind, however it ends."""
        try:
            while self._waiting or any(seat.specs for seat in self._crew):
                if self._job.stopping():
                    self._waiting.clear()
                    for seat in self._crew:
                        seat.stop()
                self._look()
                self._hire()
                self._hand_out()
                for seat in self._ready():
                    yield from self._hear(seat)
                for seat in [seat for seat in self._crew if seat.seconds_left <= 0]:
                    yield self._give_up(seat, f"took longer than {self._job.trial_timeout:g} s")
                if not self._waiting and not self._job.stopping():
                    self._waiting.extend(self._job.more())
        finally:
            for seat in self._crew:
                seat.end()

    def _look(self) -> None:
        # How large the cluster is; and whether it is large enough at all.
        now = time.monotonic()
        if now - self._last_look >= TICK:
            self._room, self._last_look = room(self._ray, self._resources), now
        if any(seat.is_ready for seat in self._crew):
            self._last_ready = now
        elif now - self._last_ready > STARTUP_SECONDS:
            raise self._no_room()

    def _hire(self) -> None:
        # One for each group, as many as there is room for and at least one: a cluster may grow.
        wanted = len(self._waiting) + sum(bool(seat.specs) for seat in self._crew)
        limit = self._job.workers or max(1, self._room)
        while len(self._crew) < min(wanted, limit):
            actor = self._actor.remote(self._parcel)
            self._crew.append(_Seat(self._ray, actor, self._job.trial_timeout))

    def _hand_out(self) -> None:
        for seat in list(self._crew):
            if self._waiting and seat.is_free:
                seat.begin(next_group(self._waiting, seat.arms, self._reach))
            elif not self._waiting and not seat.specs:
                self._dismiss(seat)  # others may need the room

    def _ready(self) -> list[_Seat]:
        # Those that have said something or died; waits a moment for one.
        heard = {seat.words: seat for seat in self._crew}
        patience = min((TICK, *(seat.seconds_left for seat in self._crew)))
        if not heard or not self._ray.wait(list(heard), timeout=patience)[0]:
            return []
        ready = self._ray.wait(list(heard), num_returns=len(heard), timeout=0)[0]
        return [heard[words] for words in ready]

    def _hear(self, seat: _Seat) -> Iterator[TrialRecord]:
        try:
            messages = seat.hear()
        except self._ray.exceptions.RayError as error:
            yield from self._lose(seat, _cause(error))
            return
        for kind, content in messages:
            if kind == "refused" and not seat.is_ready:
                raise _cannot_begin(content)
            if kind == "refused":
                yield self._give_up(seat, content)
            elif kind == "epoch":
                self._job.on_epoch(*content)
            else:
                self._failed_starts = 0
                seat.has_said(kind, content)
                if kind == "records":
                    yield from content

    def _lose(self, seat: _Seat, reason: str) -> Iterator[TrialRecord]:
        if not seat.is_ready:
            self._failed_starts += 1
            # A node that goes away takes with it all that begin there.
            if self._failed_starts >= LIVES * len(self._crew):
                raise _cannot_begin(reason)
        if not seat.specs:
            self._dismiss(seat)
            return
        key = seat.specs[0].hash
        self._losses[key] += 1
        if self._losses[key] >= LIVES:
            yield self._give_up(seat, f"lost {LIVES} times, the last time by this: {reason}")
        else:
            self._waiting.appendleft(seat.specs)
            self._dismiss(seat)

    def _give_up(self, seat: _Seat, reason: str) -> TrialRecord:
        lost, left = seat.specs[0], seat.specs[1:]
        if left:
            self._waiting.appendleft(left)
        self._dismiss(seat)
        return TrialRecord(lost, "failed", reason=f"worker on Ray: {reason}")

    def _dismiss(self, seat: _Seat) -> None:
        seat.end()
        self._crew.remove(seat)

    def _no_room(self) -> WorkerError:
        return WorkerError(
            "no node of the Ray cluster has room for a worker",
            received=f"a worker that takes {_in_words(self._resources)}",
            expected=f"at most what is there: {_in_words(self._ray.cluster_resources())}",
            hint="ask for less, or wait until others are done",
        )


class _Seat:
    """One worker of the cluster, from its start to its end, and what it has been told to do.

    Attributes:
        specs: Trials of the running group that have no record yet.
        arms: Arms that the worker has trained.
        words: What it will say next, a reference.
        is_ready: Whether it has begun.
    """

    def __init__(self, ray: Any, actor: Any, limit: float | None) -> None:
        self._ray, self._actor, self._limit = ray, actor, limit
        self.specs: Group = ()
        self.arms: set[str] = set()
        self.is_ready = self._is_stopping = False
        self.words = actor.hear.remote()
        self._deadline = float("inf")

    @property
    def is_free(self) -> bool:
        return self.is_ready and not self.specs and not self._is_stopping

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def begin(self, group: Group) -> None:
        """Hands a group to the worker."""
        self.specs, self.arms = group, self.arms | {group[0].arm}
        self._renew_deadline()
        self._actor.train.remote(group)

    def stop(self) -> None:
        """Lets the worker end its group after the running trials."""
        if not self._is_stopping:
            self._is_stopping = True
            self._actor.stop.remote()

    def hear(self) -> list[tuple[str, Any]]:
        """What the worker has said; raises what Ray has to say of it instead."""
        messages: list[tuple[str, Any]] = self._ray.get(self.words)
        self.words = self._actor.hear.remote()
        return messages

    def has_said(self, kind: str, content: Any) -> None:
        """Notes that it is ready, or has come to the end of some trials or of all."""
        self.is_ready = True
        self.specs = self.specs[len(content) :] if kind == "records" else ()
        self._renew_deadline()

    def end(self) -> None:
        """Ends the worker's process, whatever it does."""
        with suppress(Exception):  # the cluster may be gone, and with it the worker
            self._ray.kill(self._actor)

    def _renew_deadline(self) -> None:
        limit = self._limit if self._limit is not None and self.specs else float("inf")
        self._deadline = time.monotonic() + limit


def _asked_for(resources: Mapping[str, float]) -> dict[str, Any]:
    known = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
    asked = {option: resources[name] for name, option in known.items() if name in resources}
    others = {name: amount for name, amount in resources.items() if name not in known}
    return {**asked, "resources": others}


def _environment() -> dict[str, str]:
    settings = {name: os.environ[name] for name in os.environ if name.startswith(SETTINGS)}
    return {**settings, **one_thread()}


def _cause(error: Exception) -> str:
    """The sentence in which Ray says why, out of a paragraph."""
    text = " ".join(str(error).split())
    found = re.search(r"exit detail: ([^.]*)|(The actor (?:is|died because)[^.:]*)", text)
    words = next(filter(None, found.groups())) if found else text
    return words[:200]


def _cannot_begin(reason: str) -> WorkerError:
    return WorkerError(
        "a worker on Ray cannot begin",
        received=reason,
        hint="mend what it says, or use --executor processes",
    )


def _in_words(resources: Mapping[str, float]) -> str:
    shown = {name: each for name, each in resources.items() if not name.startswith("node:")}
    return ", ".join(f"{each:g} {name}" for name, each in shown.items())
