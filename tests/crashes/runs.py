"""Runs `sweep.py` as a process of its own, to be killed or interrupted."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from normcraft.records import TrialRecord
from trials import without_times

TRIALS = 16


class Run:
    """A running sweep, in a process group of its own."""

    def __init__(self, store, executor, *steps):
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                str(Path(__file__).with_name("sweep.py")),
                store,
                executor,
                *steps,
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def words(self):
        """What it says, word by word, until it ends."""
        for line in self.process.stdout:
            yield line.strip()

    def kill(self):
        """Kills the whole process group; the last word that it said."""
        os.killpg(self.process.pid, signal.SIGKILL)
        words = list(self.words())
        self.close()
        return words[-1] if words else None

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def close(self):
        self.process.wait()
        error = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return error


def finish(store, executor):
    """Lets it run to its end."""
    run = Run(store, executor)
    words = list(run.words())
    error = run.close()
    assert run.process.returncode == 0, error
    assert words[-1] == "end"


def records(store):
    """All records by hash, without what differs from run to run: times."""
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute("SELECT hash, record FROM trial").fetchall()
    found = {key: without_times(TrialRecord.from_json(text)) for key, text in rows}
    assert len(found) == len(rows)
    return found
