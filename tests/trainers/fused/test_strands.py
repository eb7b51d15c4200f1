"""Programs side by side in threads: each trial as if it were alone, bit by bit."""

from __future__ import annotations

import itertools
import signal
import threading

import keras
import pytest

pytest.importorskip("jax")

from normcraft import recipes
from normcraft.data import load_dataset
from normcraft.surgery import place
from trials import (
    fused_trainer,
    fused_worker,
    ours_are_faster,
    small_model,
    spec_of,
    trained,
    trials_of,
    without_times,
)

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is JAX's trainer")


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def records_of(trainer, trials):
    return [without_times(record) for record in trainer.train_together(trials)]


@pytest.fixture(scope="module")
def trainer(digits):
    return fused_trainer(small_model(dropout=0.2), digits, 3, 3)


def test_trials_side_by_side_are_trials_one_by_one(digits, trainer):
    trials = trials_of(digits, [0.01, 0.001, 0.1])
    alone = fused_trainer(small_model(dropout=0.2), digits, 1, 1)
    assert records_of(trainer, trials) == [without_times(alone.train(*one)) for one in trials]


def test_convolutions_side_by_side(digits):
    model = recipes.digits_cnn()
    speeds = ours_are_faster(place(model, "before_activation").model)
    trials = trials_of(digits, [1e-3, 3e-3], steps_per_epoch=6)
    several, alone = (fused_trainer(model, digits, n, n, speeds=speeds) for n in (2, 1))
    assert records_of(several, trials) == [without_times(alone.train(*one)) for one in trials]


def test_a_program_of_several_trials_in_each_strand(digits):
    trials = trials_of(digits, [0.01, 0.02, 0.03])  # the second program is not full
    both, one = (fused_trainer(small_model(), digits, 2 * n, n) for n in (2, 1))
    pairs = [*records_of(one, trials[:2]), *records_of(one, trials[2:])]
    assert records_of(both, trials) == pairs


def test_a_trial_that_diverges_ends_alone(digits, trainer):
    good = records_of(trainer, trials_of(digits, [0.01] * 3))
    first, bad, last = records_of(trainer, trials_of(digits, [0.01, 1e38, 0.01]))
    assert bad.outcome == "diverged"
    assert (first, last) == (good[0], good[2])


def test_what_is_traced_is_traced_once(digits, monkeypatch):
    from normcraft.trainers.fused.program import Program

    traced, step = [], Program._train_step
    monkeypatch.setattr(Program, "_train_step", lambda *these: traced.append(1) or step(*these))
    trainer = fused_trainer(small_model(), digits, 4, 4)
    for number in (4, 3):
        records_of(trainer, trials_of(digits, [0.01] * number))
    assert len(traced) == 1


@pytest.mark.usefixtures("ctrl_c_is_heard")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_ends_all_strands(digits, trainer, monkeypatch):
    """After the second: the main thread gets `KeyboardInterrupt` while it waits for the others."""
    from normcraft.trainers.fused import program

    main, ended = threading.main_thread().ident, []
    begun = threading.Barrier(3)

    def endless(self, state, factors, chunks, stopped):
        interrupts = begun.wait() == 0
        for tick in itertools.count():
            if stopped():
                break
            # Once all have been submitted, and again after a while: Python may lose one.
            if interrupts and tick % 500 == 20:
                signal.pthread_kill(main, signal.SIGINT)
            threading.Event().wait(0.01)
        ended.append(threading.current_thread().name)
        return state, {}

    monkeypatch.setattr(program.Program, "train", endless)
    with pytest.raises(KeyboardInterrupt):
        records_of(trainer, trials_of(digits, [0.01] * 3))
    assert len(ended) == 3
    assert not [one for one in threading.enumerate() if one.name.startswith("strand")]


def test_what_fails_in_one_strand_ends_the_others_and_is_raised(digits, trainer, monkeypatch):
    from normcraft.trainers.fused import program

    begun = threading.Barrier(3)

    def broken(self, state, factors, chunks, stopped):
        if begun.wait() == 0:
            raise ValueError("out of luck")
        while not stopped():
            threading.Event().wait(0.01)
        return state, {}

    monkeypatch.setattr(program.Program, "train", broken)
    with pytest.raises(ValueError, match="out of luck"):
        records_of(trainer, trials_of(digits, [0.01] * 3))


def test_fewer_run_side_by_side_where_memory_runs_out(digits, monkeypatch):
    import jax

    from normcraft.trainers.fused import FusedTrainer

    tried, begin = [], FusedTrainer._begin

    def short_of_memory(self, trials):
        tried.append((self.together, self.strands))
        if self.strands > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        begin(self, trials)

    monkeypatch.setattr(FusedTrainer, "_begin", short_of_memory)
    group = tuple(spec_of("a", seed=seed, trainer="fused", epochs=1) for seed in range(4))
    records = trained(fused_worker(digits, together=4, strands=4), group)
    assert [record.outcome for record in records] == ["finished"] * 4
    assert tried == [(4, 4), (2, 2)] + [(1, 1)] * 4
