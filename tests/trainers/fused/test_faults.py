"""What goes wrong around the fused trainer: no memory, and a cache that is damaged or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import keras
import pytest

pytest.importorskip("jax")

from normcraft.data import load_dataset
from normcraft.studies import Budget, Grid, Options, Store, Study
from trials import small_model, without_times

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is JAX's trainer")


def run_study(store):
    grid, budget = Grid(placements=("before_activation",)), Budget(seeds=3, epochs=2)
    study = Study(
        small_model(dropout=0.5),
        load_dataset("digits"),
        grid=grid,
        budget=budget,
        options=Options(executor="local"),  # one trial at a time
    )
    with Store(store) as opened:
        return study.run(opened).records


def test_a_trial_for_which_memory_runs_out_is_a_failed_record_and_the_next_ones_run(
    tmp_path, monkeypatch
):
    import jax

    from normcraft.trainers.fused.program import Program

    train, calls = Program.train, []

    def failing(self, *arguments):
        calls.append(train(self, *arguments))  # the state that it was given is used up
        if len(calls) == 4:  # the second epoch of the second trial
            jax.block_until_ready(jax.numpy.zeros(1 << 50, "uint8"))
        return calls[-1]

    expected = run_study(tmp_path / "whole.db")
    with monkeypatch.context() as patch:
        patch.setattr(Program, "train", failing)
        first, failed, third = run_study(tmp_path / "s.db")
    assert failed.outcome == "failed"
    assert failed.reason.startswith("memory ran out; try a smaller batch size (JaxRuntimeError: ")
    assert [without_times(r) for r in (first, third)] == [
        without_times(r) for r in (expected[0], expected[2])
    ]
    again = run_study(tmp_path / "s.db")
    assert [*map(without_times, again)] == [*map(without_times, expected)]


def compare(folder, cache, name):
    """A comparison from the command line, in a process of its own."""
    command = (
        "compare m.keras --data digits --placements before_activation --seeds 1 --epochs 1 "
        f"--steps-per-epoch 5 --store {name}.db --json"
    )
    own = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")}
    return subprocess.Popen(
        [sys.executable, "-m", "normcraft.cli.main", *command.split()],
        env={**own, "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


def score_of(process):
    """Its score; it has nothing to say but how far it is."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert not {"warn", "error", "traceback"} & set(err.lower().replace(":", " ").split()), err
    return [arm["as_trained_mean"] for arm in json.loads(out)["arms"]]


def damage(folder):
    """Truncates every other file, and turns the rest about."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for number, file in enumerate(files):
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2] if number % 2 else content[::-1])
    return files


@pytest.mark.slow
def test_a_cache_that_is_shared_damaged_or_none_changes_nothing_and_is_not_spoken_of(tmp_path):
    conv = [keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu")]
    head = [keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    keras.Sequential([*conv, *head], name="m").save(tmp_path / "m.keras")
    cache = tmp_path / "cache"
    (tmp_path / "file").write_text("")
    shared = [compare(tmp_path, cache, name) for name in ("one", "other")]
    expected, other = map(score_of, shared)
    assert other == expected
    files = damage(cache)
    assert "programs" in {file.parent.name for file in files}
    damaged = compare(tmp_path, cache, "damaged")
    none = compare(tmp_path, tmp_path / "file", "none")
    assert score_of(damaged) == score_of(none) == expected
