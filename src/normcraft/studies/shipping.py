"""What a worker is made of as one value, for machines that read no file of this one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from normcraft._core.errors import InputError
from normcraft.executors import Group, OnEpoch
from normcraft.records import TrialRecord
from normcraft.studies.best_models import Candidates
from normcraft.studies.packing import PackedWorker, each_array
from normcraft.trainers.provenance import versions

__all__ = ["Parcel", "ShippedWorker", "ship", "unpacked"]

THEIR_OWN = ("python", "numpy", "normcraft")  # versions that no trial's numbers hang on


@dataclass(frozen=True)
class ShippedWorker:
    """Makes a worker on another machine; its models come back in parcels.

    Attributes:
        packed: What makes the worker, with the content of each file in place of its path.
        code: The user's Python files that the models name, by path.
        versions: Those of Keras and the backend here.
    """

    packed: PackedWorker
    code: Mapping[str, bytes]
    versions: Mapping[str, str]

    def __call__(self, on_epoch: OnEpoch) -> Any:
        """Makes the worker; its arrays are those of the value, which may be read-only.

        Args:
            on_epoch: Called after every epoch of a trial.

        Returns:
            A worker that yields a `Parcel` in place of each record.
        """
        _check(self.versions)
        parts = self.packed.parts
        candidates = replace(parts.candidates, best=dict(parts.candidates.best))
        with tempfile.TemporaryDirectory(prefix="normcraft-") as files:
            models = {arm: f"{number}.keras" for number, arm in enumerate(parts.models)}
            content = {models[arm]: model for arm, model in parts.models.items()}
            _write(Path(files), {**self.code, **content})
            paths: dict[str, Any] = {arm: str(Path(files, name)) for arm, name in models.items()}
            own = {name: each.moved(Path(files)) for name, each in self.packed.own.items()}
            parts = replace(parts, models=paths, candidates=candidates)
            worker = replace(self.packed, parts=parts, own=own)(on_epoch)
        return _Sender(worker, candidates)


@dataclass(frozen=True)
class Parcel:
    """What came of a trial on another machine.

    Attributes:
        record: The record.
        model: Its `.keras` file, where it may be its arm's best; else None.
    """

    record: TrialRecord
    model: bytes | None


class _Sender:
    # Lets the models of a group be left in a folder that goes with it.
    def __init__(self, worker: Any, candidates: Candidates) -> None:
        self._worker, self._candidates = worker, candidates

    def __call__(self, group: Group) -> Iterator[Sequence[Any]]:
        with tempfile.TemporaryDirectory(prefix="normcraft-") as folder:
            self._candidates.folder = Path(folder)
            for some in self._worker(group):
                yield [
                    self._parcel(came) if isinstance(came, TrialRecord) else came for came in some
                ]

    def _parcel(self, record: TrialRecord) -> Parcel:
        path = self._candidates.path(record)
        model = path.read_bytes() if path.exists() else None
        path.unlink(missing_ok=True)
        return Parcel(record, model)


def ship(packed: PackedWorker) -> ShippedWorker:
    """Reads what a worker is made of into one value.

    Args:
        packed: The worker as files.

    Returns:
        What makes the worker elsewhere; arrays stand in it as views of the files.
    """
    parts = packed.parts
    models: dict[str, Any] = {
        arm: Path(str(path)).read_bytes() for arm, path in parts.models.items()
    }
    dataset = each_array(parts.dataset, lambda path: np.asarray(np.load(path, mmap_mode="r")))
    code = {
        name: content for each in packed.own.values() for name, content in each.sources().items()
    }
    return ShippedWorker(
        replace(packed, parts=replace(parts, models=models, dataset=dataset)), code, _ours()
    )


def unpacked(came: Any, candidates: Candidates) -> Any:
    """What a worker yielded, as one that shares files would have.

    Args:
        came: A parcel, or what is none.
        candidates: Where models of good trials are left.

    Returns:
        The record; the model lies where it is looked for.
    """
    if not isinstance(came, Parcel):
        return came
    if came.model is not None:
        candidates.folder.mkdir(parents=True, exist_ok=True)
        candidates.path(came.record).write_bytes(came.model)
    return came.record


def _ours() -> dict[str, str]:
    return {name: number for name, number in versions().items() if name not in THEIR_OWN}


def _check(wanted: Mapping[str, str]) -> None:
    found = _ours()
    if found != wanted:
        raise InputError(
            "a worker has other versions than this process",
            received=_in_words(found),
            expected=_in_words(wanted),
            hint="install the same on all nodes",
        )


def _in_words(numbers: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items())


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
