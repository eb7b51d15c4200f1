"""Damaged files, some hundred, the same ones each time; `benchmarks/fuzz_files.py` has more."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

fuzz_files = pytest.importorskip("benchmarks.fuzz_files", reason="benchmarks are not here")
NUMBER = {"npz": 160, "csv": 80, "images": 40, "keras": 40}


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", NUMBER)
def test_valid_files_are_accepted(folder, kind):
    for number, files in enumerate(fuzz_files.seeds(kind)):
        found = fuzz_files.examine(kind, put(folder / str(number), files), 1)
        assert found.outcome == "accepted", found


@pytest.mark.parametrize("kind", NUMBER)
def test_damaged_files_are_accepted_or_refused_with_one_line(folder, kind):
    outcomes = set()
    for number, files in enumerate(islice(fuzz_files.cases(kind, seed=4), NUMBER[kind])):
        found = fuzz_files.examine(kind, put(folder / str(number), files), 1)
        assert not found.failed, (number, found)
        outcomes.add(found.outcome)
    assert outcomes == {"accepted", "refused"}
    assert {path.name for path in folder.iterdir()} == set(map(str, range(NUMBER[kind])))


@pytest.mark.parametrize(
    ("stop", "said", "outcome"),
    [
        (0, "", "accepted"),
        (1, "", "accepted"),
        (2, "normcraft: no such file\n", "refused"),
        (2, "UserWarning\nnormcraft: no such file\n", "not one line"),
        (2, "", "not one line"),
        (2, "normcraft: unexpected KeyError: x\n", "unexpected error"),
        (2, "normcraft: cannot be loaded: received MemoryError\n", "memory"),
        (3, "", "exit code 3"),
        (1, "Traceback (most recent call last):\n", "traceback"),
        (ValueError("x"), "", "traceback"),
    ],
)
def test_what_is_a_failure(monkeypatch, stop, said, outcome):
    import sys

    def main(arguments):
        print(said, end="", file=sys.stderr)
        raise stop if isinstance(stop, Exception) else SystemExit(stop)

    monkeypatch.setattr("normcraft.cli.main.main", main)
    assert fuzz_files.run("place").outcome == outcome
