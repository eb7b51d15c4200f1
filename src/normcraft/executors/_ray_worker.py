"""A worker on a Ray cluster: an actor that trains in a thread and is asked for what came of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, Queue, SimpleQueue
from typing import Any

from normcraft._core.cores import take_core
from normcraft._core.errors import NormcraftError
from normcraft.executors._job import Group

__all__ = ["RayWorker"]

Message = tuple[str, Any]


class RayWorker:
    """Trains groups, one after another, in a process that Ray starts for it.

    One thread makes the worker and trains, as Keras keeps its settings by thread; those that Ray
    calls methods in only hand over. No backend is loaded before the process has its core. A trial
    begins when those before it have arrived: what ends the process is then that trial's doing.

    Args:
        parcel: A reference to what makes the worker, in the object store. In a list, so that Ray
            does not fetch it before the core is taken, and what goes wrong then is a message.
    """

    def __init__(self, parcel: Sequence[Any]) -> None:
        self._core = take_core()
        self._stopping = False
        self._groups: SimpleQueue[Group] = SimpleQueue()
        self._messages: Queue[Message] = Queue()
        self._handed_over = 0
        threading.Thread(target=self._work, args=tuple(parcel), daemon=True).start()

    def train(self, group: Group) -> None:
        """Takes a group; what comes of it, `hear` says.

        Args:
            group: Trials of one arm.
        """
        self._groups.put(group)

    def stop(self) -> None:
        """Lets the group end after the running trials."""
        self._stopping = True

    def hear(self) -> list[Message]:
        """Waits for something to be said.

        Returns:
            All that was said since, in order: `(kind, content)`, as worker processes say it.
        """
        for _ in range(self._handed_over):  # asked again, it has arrived
            self._messages.task_done()
        said = [self._messages.get()]
        with suppress(Empty):
            while True:
                said.append(self._messages.get_nowait())
        self._handed_over = len(said)
        return said

    def _work(self, reference: Any) -> None:
        try:
            import ray

            worker = ray.get(reference)(lambda spec, epoch: self._say("epoch", (spec, epoch)))
            self._say("ready")
            while True:
                self._train(worker, self._groups.get())
        except NormcraftError as error:
            self._say("refused", str(error))
        except BaseException as error:  # whatever it is: a thread that ends without a word hangs
            self._say("refused", f"{type(error).__name__}: {error}")

    def _train(self, worker: Any, group: Group) -> None:
        for records in worker(group):
            self._say("records", records)
            self._messages.join()
            if self._stopping:
                self._say("stopped")
                return

    def _say(self, kind: str, content: Any = None) -> None:
        self._messages.put((kind, content))
