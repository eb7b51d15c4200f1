"""The store: records of trials in one SQLite file, written as they come."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from normcraft._core.errors import MissingFileError, StoreError
from normcraft.records import Arm, TrialRecord, TrialSpec

__all__ = ["SCHEMA_VERSION", "Store"]

SCHEMA_VERSION = 1
FINAL = ("finished", "diverged")
SCHEMA = """
CREATE TABLE IF NOT EXISTS study (
    id TEXT PRIMARY KEY, position INTEGER NOT NULL, document TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS trial (
    hash TEXT PRIMARY KEY, outcome TEXT NOT NULL, record TEXT NOT NULL
);
"""


class Store:
    """Trial records and the studies they belong to, in one SQLite file that a rerun continues.

    A record is keyed by the hash of its specification: the same trial is never stored twice, and a
    final record (finished or diverged) is never replaced.

    Args:
        path: The file; made where it does not exist, its folder too.
        must_exist: Whether a missing file is an error rather than a new store.

    Raises:
        MissingFileError: If the file must exist and does not.
        StoreError: If the file cannot be opened, is no store, or comes from a newer normcraft; from
            every method where it cannot be read or written.
    """

    def __init__(self, path: str | Path, *, must_exist: bool = False) -> None:
        self.path = Path(path)
        if must_exist and not self.path.is_file():
            raise MissingFileError(
                "no store there",
                received=repr(str(path)),
                expected="a .db file that `normcraft compare` wrote",
            )
        with self._access():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, timeout=10)
            self._prepare()

    def _prepare(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"store {str(self.path)!r} was written by a newer normcraft",
                received=f"version {version} of the store",
                expected=f"version {SCHEMA_VERSION} or older",
                hint="upgrade normcraft, or use another --store",
            )
        tables = {row[0] for row in self._connection.execute("SELECT name FROM sqlite_master")}
        if version == 0 and tables:
            raise StoreError(
                f"{str(self.path)!r} is a database, but not a store of normcraft",
                received=f"tables {', '.join(sorted(map(repr, tables)))}",
                expected="a new file or a store",
                hint="use another --store",
            )
        with self._connection:
            self._connection.executescript(SCHEMA)
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _access(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"store {str(self.path)!r} cannot be used",
                received=str(error),
                expected="a writable file that is new or a store of normcraft",
                hint="close other runs that use it, or use another --store",
            ) from error

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def add(self, record: TrialRecord) -> None:
        """Writes a record; a final one that is there already stays.

        Args:
            record: What came of a trial.
        """
        row = (record.spec.hash, record.outcome, record.to_json())
        with self._access(), self._connection:
            self._connection.execute(
                "INSERT INTO trial VALUES (?, ?, ?) ON CONFLICT (hash) DO UPDATE SET "
                "outcome = excluded.outcome, record = excluded.record "
                f"WHERE outcome NOT IN {FINAL}",
                row,
            )

    def records(self, specs: Iterable[TrialSpec]) -> dict[str, TrialRecord]:
        """Records that exist of the trials asked for.

        Args:
            specs: Trials; a record found carries the specification given here (its arm's label).

        Returns:
            Records by hash.
        """
        found = {}
        query = "SELECT record FROM trial WHERE hash = ?"
        with self._access():
            for spec in specs:
                row = self._connection.execute(query, (spec.hash,)).fetchone()
                if row is not None:
                    found[spec.hash] = replace(TrialRecord.from_json(row[0]), spec=spec)
        return found

    def save_study(
        self,
        identity: str,
        *,
        arms: Sequence[Arm],
        specs: Sequence[TrialSpec],
        about: dict[str, Any],
    ) -> None:
        """Writes what a study consists of, so that its report can be made from the store alone.

        Args:
            identity: Names the study; saved again, it becomes the latest.
            arms: Its arms.
            specs: All its trials.
            about: What else the report needs, JSON-able.
        """
        document = {
            "arms": [asdict(arm) for arm in arms],
            "specs": [asdict(spec) for spec in specs],
            "about": about,
        }
        with self._access(), self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO study VALUES "
                "(?, (SELECT 1 + COALESCE(MAX(position), 0) FROM study), ?)",
                (identity, json.dumps(document)),
            )

    def latest_study(self) -> tuple[tuple[Arm, ...], tuple[TrialSpec, ...], dict[str, Any]]:
        """The study saved last.

        Returns:
            Its arms, its trials, and what else was saved about it.

        Raises:
            StoreError: If there is none.
        """
        query = "SELECT document FROM study ORDER BY position DESC LIMIT 1"
        with self._access():
            row = self._connection.execute(query).fetchone()
            if row is None:
                raise StoreError(f"store {str(self.path)!r} holds no study yet")
            document = json.loads(row[0])
            arms = tuple(_arm(fields) for fields in document["arms"])
            specs = tuple(TrialSpec(**fields) for fields in document["specs"])
        return arms, specs, document["about"]


def _arm(fields: dict[str, Any]) -> Arm:
    pairs = {
        name: tuple((str(a), str(b)) for a, b in fields[name]) for name in ("inserted", "skipped")
    }
    return Arm(**{**fields, **pairs})
