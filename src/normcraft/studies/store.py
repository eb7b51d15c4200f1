"""The store: records of trials in one SQLite file, written as they come."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from normcraft._core.errors import MissingFileError, NormcraftError, StoreError
from normcraft.records import Arm, TrialRecord, TrialSpec

__all__ = ["SCHEMA_VERSION", "Store"]

SCHEMA_VERSION = 2
APPLICATION_ID = 0x6E6F726D  # "norm": by this a store is known, also to the command `file`
FINAL = ("finished", "diverged")
# What makes a store of each version one of the next; a new file has version 0.
MIGRATIONS = (
    """
    CREATE TABLE study (id TEXT PRIMARY KEY, position INTEGER NOT NULL, document TEXT NOT NULL);
    CREATE TABLE trial (hash TEXT PRIMARY KEY, outcome TEXT NOT NULL, record TEXT NOT NULL);
    """,
    f"PRAGMA application_id = {APPLICATION_ID};",
)


class Store:
    """Trial records and the studies they belong to, in one SQLite file that a rerun continues.

    A record is keyed by the hash of its specification: the same trial is never stored twice, and a
    final record (finished or diverged) is never replaced. A store of an older version becomes one
    of this version. One run at a time writes; the journal is a file of its own (no WAL), which
    works on network file systems too.

    Args:
        path: The file; made where it does not exist, its folder too.
        read_only: Whether to read a copy of it in memory instead: of a file that must exist, that
            another run may be writing, and that stays as it is.

    Raises:
        MissingFileError: If it shall be read and is not there.
        StoreError: If another run is writing it; if it cannot be opened, is no store, is damaged,
            or comes from a newer normcraft; from every method where it cannot be read or written.
    """

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self.path = Path(path)
        self._resources = ExitStack()
        with self._access(), ExitStack() as resources:
            if read_only:
                self._connection = self._copy()
            else:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                resources.push(self._locked())
                self._connection = sqlite3.connect(path, timeout=10)
            resources.callback(self._connection.close)
            self._check()
            self._prepare()
            self._connection.execute("PRAGMA journal_mode = DELETE")
            self._resources = resources.pop_all()

    def _locked(self) -> Callable[..., None]:
        path = self.path.with_name(f".{self.path.name}.lock")
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            if not path.exists():
                raise OSError(f"no file can be made in folder {str(path.parent)!r}") from error
            raise StoreError(
                f"another run is writing store {str(self.path)!r}",
                hint="wait for it (`normcraft report` reads it meanwhile), or use another --store",
            ) from error

        def release(*exception: object) -> None:
            if exception[0] is not None:  # what was opened is no store: nothing is left beside it
                path.unlink()
            lock.release()

        return release

    def _copy(self) -> sqlite3.Connection:
        if not self.path.is_file():
            raise MissingFileError(
                "no store there",
                received=repr(str(self.path)),
                expected="a .db file that `normcraft compare` wrote",
            )
        copy = sqlite3.connect(":memory:")
        uri = f"{self.path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=10)) as original:
            original.backup(copy)
        return copy

    def _check(self) -> None:
        found = self._connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreError(
                f"store {str(self.path)!r} is damaged",
                received=found,
                hint="save what can be read with `sqlite3 FILE .recover`, or use another --store",
            )

    def _prepare(self) -> None:
        version = self._pragma("user_version")
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"store {str(self.path)!r} was written by a newer normcraft",
                received=f"version {version} of the store",
                expected=f"version {SCHEMA_VERSION} or older",
                hint="upgrade normcraft, or use another --store",
            )
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        tables = {row[0] for row in self._connection.execute(query)}
        is_store = tables == {"study", "trial"} and version > 0
        if version >= 2:
            is_store = self._pragma("application_id") == APPLICATION_ID
        if tables and not is_store:
            raise StoreError(
                f"{str(self.path)!r} is a database, but not a store of normcraft",
                received=f"tables {', '.join(sorted(map(repr, tables)))}",
                expected="a new file or a store",
                hint="use another --store",
            )
        self._migrate(version if tables else 0)

    def _migrate(self, version: int) -> None:
        if version < SCHEMA_VERSION:
            steps = " ".join(MIGRATIONS[older] for older in range(version, SCHEMA_VERSION))
            self._connection.executescript(
                f"BEGIN; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _access(self) -> Iterator[None]:
        try:
            yield
        except NormcraftError:
            raise
        except (sqlite3.Error, OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"store {str(self.path)!r} cannot be used",
                received=str(error),
                expected="a writable file that is new or a store of normcraft",
                hint="make room, close what else uses it, or use another --store",
            ) from error

    def close(self) -> None:
        """Closes the file, for another run to open."""
        self._resources.close()

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
        plan: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes what a study consists of, so that its report can be made from the store alone.

        Args:
            identity: Names the study; saved again, it becomes the latest.
            arms: Its arms.
            specs: All its trials.
            about: What else the report needs, JSON-able.
            plan: How its trials are executed, JSON-able.
        """
        document = {
            "arms": [asdict(arm) for arm in arms],
            "specs": [asdict(spec) for spec in specs],
            "about": about,
            "plan": plan or {},
        }
        with self._access(), self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO study VALUES "
                "(?, (SELECT 1 + COALESCE(MAX(position), 0) FROM study), ?)",
                (identity, json.dumps(document)),
            )

    def plan(self, specs: Sequence[TrialSpec]) -> dict[str, Any]:
        """How trials like these were executed before, so that a resume is like them.

        Args:
            specs: Trials.

        Returns:
            The plan of the latest study with these models and data, chosen in the same way
            (`spec.plan`); empty where there is none.
        """
        wanted = {(spec.model, spec.data, spec.plan) for spec in specs}
        with self._access():
            rows = self._connection.execute("SELECT document FROM study ORDER BY position DESC")
            for (text,) in rows.fetchall():
                document = json.loads(text)
                names = "model", "data", "plan"
                known = {tuple(fields[name] for name in names) for fields in document["specs"]}
                if document.get("plan") and wanted <= known:
                    return dict(document["plan"])
        return {}

    def about(self, identity: str) -> dict[str, Any] | None:
        """What was saved about a study beside its arms and trials.

        Args:
            identity: Names the study.

        Returns:
            The dictionary; None where the store does not know the study.
        """
        with self._access():
            query = "SELECT document FROM study WHERE id = ?"
            row = self._connection.execute(query, (identity,)).fetchone()
            return dict(json.loads(row[0])["about"]) if row else None

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
