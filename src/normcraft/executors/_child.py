"""A worker process: what it is told comes through one pipe, and with the pipe's end it ends.

Started as `python -m normcraft.executors._child FD CORE` and never forked, so a user's script is
not run again, and no backend is loaded before the core and the number of threads are settled.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from normcraft._core.errors import NormcraftError
from normcraft.executors._job import Group

__all__ = ["main"]

# Out of memory, the kernel shall end a worker, which is a failed trial, and not the study.
OOM_SCORE = "800"


def main() -> None:
    """Trains the groups that come through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection, core = Connection(int(sys.argv[1])), int(sys.argv[2])
    _settle(core)
    try:
        worker = connection.recv()(lambda spec, epoch: connection.send(("epoch", (spec, epoch))))
    except NormcraftError as error:
        connection.send(("refused", str(error)))
        return
    connection.send(("ready", None))
    orders = _Orders(connection)
    while True:
        for records in worker(orders.next_group()):
            connection.send(("records", records))
            if orders.stopping:
                connection.send(("stopped", None))
                break


class _Orders:
    """Reads the pipe in a thread of its own, so that its end is noticed in the midst of a trial."""

    def __init__(self, connection: Connection) -> None:
        self.stopping = False
        self._connection = connection
        self._groups: queue.SimpleQueue[Group] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def next_group(self) -> Group:
        return self._groups.get()

    def _read(self) -> None:
        try:
            while (group := self._connection.recv()) is not None:
                self._groups.put(group)
            self.stopping = True
            self._connection.recv()
        finally:
            os._exit(0)  # whoever sent orders is gone: nobody would take the records


def _settle(core: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")


if __name__ == "__main__":
    main()
