"""Damaged files of every kind, fed to the commands: is each accepted, or refused with one line?

    python benchmarks/fuzz_files.py [--minutes 10] [--kinds npz keras csv images] [--seed 0]
        [--keep FOLDER] [--json]

Each kind has a worker process of its own, which reads one case after the other and is started anew
where a case ends it. A case is accepted (exit code 0 or 1), refused (exit code 2, one line), or a
failure: a traceback, an unexpected error, several lines, another exit code, the end of the process,
more than MEMORY beyond what the process held before, or more than SECONDS. Models go through
`normcraft place --dry-run`, every tenth through `verify` as well; data are loaded, and one in a
hundred goes through `normcraft compare`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import resource
import select
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # the worker is run as a script

from benchmarks.fuzz_mutations import Files, mutate
from benchmarks.fuzz_seeds import KINDS, seeds

__all__ = ["Finding", "cases", "examine"]

MEMORY = 1 << 30
SECONDS = 120
CASES_OF_A_WORKER = 1000
QUICK = ["--seeds", "1", "--epochs", "1", "--steps-per-epoch", "1", "--placements", "none"]
MODELS = {"npz": "tabular_mlp", "csv": "tabular_mlp", "images": "digits_cnn"}


class Finding(NamedTuple):
    """What came of a case.

    Attributes:
        outcome: `"accepted"`, `"refused"`, or what kind of failure it is.
        line: What was said.
    """

    outcome: str
    line: str

    @property
    def failed(self) -> bool:
        """Whether it is neither accepted nor refused."""
        return self.outcome not in {"accepted", "refused"}


def cases(kind: str, seed: int) -> Iterator[Files]:
    """Damaged files without end, the same ones for a seed.

    Yields:
        Files by name.
    """
    valid, chance = seeds(kind), random.Random(f"{kind} {seed}")
    while True:
        yield mutate(kind, chance.choice(valid), valid, chance)


def examine(kind: str, folder: Path, number: int) -> Finding:
    """Feeds one case to the commands.

    Args:
        kind: What kind of files it is of.
        folder: Where its files lie.
        number: Of the case: some go further than others.

    Returns:
        What came of it.
    """
    if kind == "keras":
        path = str(folder / "model.keras")
        found = run("place", path, "--placement", "before_activation", "--dry-run")
        deeper = found.outcome == "accepted" and number % 10 == 0
        return run("verify", path, path) if deeper else found
    path = str(folder if kind == "images" else next(folder.iterdir()))
    target = ["--target", "y"] if kind == "csv" else []
    found = load(path, *target[1:])
    if found.outcome != "accepted" or number % 100:
        return found
    store = str(folder.parent / "runs" / f"{number}.db")
    return run("compare", MODELS[kind], "--data", path, *target, "--store", store, *QUICK)


def run(*arguments: str) -> Finding:
    """Runs a command in this process.

    Returns:
        What came of it.
    """
    from normcraft.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    code: Any = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(list(arguments))
        except SystemExit as stop:
            code = stop.code
        except BaseException:
            return Finding("traceback", traceback.format_exc())
    return _judged(code, err.getvalue(), has_remarks=arguments[0] == "compare")


def _judged(code: Any, said: str, *, has_remarks: bool) -> Finding:
    lines = said.splitlines()
    line = lines[-1] if lines else ""
    if "Traceback" in said:
        return Finding("traceback", said)
    if code in {0, 1}:
        return Finding("accepted", "")
    if code != 2:
        return Finding(f"exit code {code}", said)
    if re.match(r"normcraft: unexpected \w+:", line):
        return Finding("unexpected error", line)
    if "MemoryError" in line:
        return Finding("memory", line)
    if not line.startswith("normcraft: ") or (len(lines) > 1 and not has_remarks):
        return Finding("not one line", said)
    return Finding("refused", line)


def load(path: str, target: str | None = None) -> Finding:
    """Loads data as the commands do.

    Returns:
        What came of it.
    """
    from normcraft._core.errors import NormcraftError
    from normcraft.data import load_dataset

    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        try:
            load_dataset(path, target=target)
        except NormcraftError as error:
            return _judged(2, f"normcraft: {error}", has_remarks=False)
        except BaseException:
            return Finding("traceback", traceback.format_exc())
    text = "\n".join(str(remark.message) for remark in remarks)
    return Finding("not one line", text) if text else Finding("accepted", "")


def work(kind: str) -> None:
    """A worker: a folder's path and a number in each line that comes in, a finding goes out."""
    answers, sys.stdout = sys.stdout, sys.stderr
    warnings.simplefilter("always")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        number, _, folder = line.strip().partition(" ")
        before = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        found = examine(kind, Path(folder), int(number))
        grown = _memory("VmHWM") - before
        if grown > MEMORY:
            found = Finding("memory", f"{grown >> 20} MiB; {found.outcome}: {found.line}")
        print(json.dumps(found), file=answers, flush=True)


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{name}:\s*(\d+) kB", status)
    return 1024 * int(found[1]) if found else 0


class Worker:
    """A process that examines cases; a new one where a case ended it.

    Args:
        kind: What kind of files it is fed.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._process: subprocess.Popen[str] | None = None
        self._done = 0

    def examine(self, folder: Path, number: int) -> Finding:
        """Has a case examined.

        Returns:
            What came of it.
        """
        if self._process is None or self._done % CASES_OF_A_WORKER == 0:
            self.stop()
            command = [sys.executable, __file__, "--worker", self._kind]
            self._process = subprocess.Popen(
                command,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        self._done += 1
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(number, folder, file=self._process.stdin, flush=True)
        answer = _line(self._process.stdout)
        if answer:
            return Finding(*json.loads(answer))
        if answer is None:
            self.stop()
            return Finding("hang", f"no answer in {SECONDS} s")
        status = self._process.wait()
        self.stop()
        return Finding("process ended", f"status {status}")

    def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None


def _line(stream: IO[str]) -> str | None:
    ready, _, _ = select.select([stream], [], [], SECONDS)
    return stream.readline() if ready else None


def fuzz(kind: str, seconds: float, seed: int, keep: Path | None) -> dict[str, Any]:
    """Examines damaged files for some time.

    Returns:
        Counts of outcomes, and of refusals by line.
    """
    outcomes: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    worker = Worker(kind)
    with tempfile.TemporaryDirectory() as scratch:
        _check_seeds(kind, worker, Path(scratch, "seeds"))
        end = time.monotonic() + seconds
        for number, files in enumerate(cases(kind, seed)):
            if time.monotonic() > end:
                break
            folder = Path(scratch, str(number))
            _write(folder, files)
            found = worker.examine(folder, number)
            outcomes["failed" if found.failed else found.outcome] += 1
            if found.outcome == "refused":
                refusals[_pattern(found.line)] += 1
            if found.failed:
                last = found.line.strip().splitlines()[-1] if found.line.strip() else ""
                failures[f"{found.outcome}: {_pattern(last)}"] += 1
                _keep(keep, kind, number, files, found)
            for path in sorted(folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            folder.rmdir()
    worker.stop()
    return {"outcomes": outcomes, "refusals": refusals, "failures": failures}


def _check_seeds(kind: str, worker: Worker, scratch: Path) -> None:
    # Were valid files refused, damaged ones would be refused for the same reason.
    for number, files in enumerate(seeds(kind)):
        _write(scratch / str(number), files)
        found = worker.examine(scratch / str(number), number)
        assert found.outcome == "accepted", (kind, number, found)


def _write(folder: Path, files: Files) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def _keep(keep: Path | None, kind: str, number: int, files: Files, found: Finding) -> None:
    if keep is not None:
        folder = keep / f"{kind}-{number}"
        _write(folder, files)
        (folder.with_suffix(".txt")).write_text(f"{found.outcome}\n{found.line}\n", "utf-8")


def _pattern(line: str) -> str:
    # Refusals of one sort are one pattern: quoted text and numbers are left out.
    line = re.sub(r"'[^']*'|\"[^\"]*\"", "…", line.removeprefix("normcraft: "))
    return re.sub(r"\d[\d,.]*", "N", line)[:100]


def main() -> None:
    """Parses, runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="of all kinds together")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="keep the files of failures here")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", choices=KINDS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.worker)
        return
    share = 60 * given.minutes / len(given.kinds)
    found = {kind: fuzz(kind, share, given.seed, given.keep) for kind in given.kinds}
    if given.json:
        print(json.dumps(found))
    else:
        _print(found)
    sys.exit(any(part["failures"] for part in found.values()))


def _print(found: dict[str, dict[str, Any]]) -> None:
    print("| files | cases | accepted | refused | sorts of refusal | failed |")
    print("|---|---|---|---|---|---|")
    for kind, part in found.items():
        counts = part["outcomes"]
        cells = (counts["accepted"], counts["refused"], len(part["refusals"]), counts["failed"])
        print(f"| {kind} | {counts.total():,} | " + " | ".join(f"{n:,}" for n in cells) + " |")
    for kind, part in found.items():
        for title in ("failures", "refusals"):
            print(f"\n{kind}, {title}:")
            for line, count in part[title].most_common(40):
                print(f"{count:7,}  {line}")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
