"""Programs that several threads may call, and that are compiled before they are needed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import keras
import numpy as np
import pytest

pytest.importorskip("jax")

from normcraft.data import load_dataset
from normcraft.trainers.fused.shared import Needed, Shared, compile_all
from trials import fused_trainer, small_model, traced, trials_of

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is JAX's trainer")
OURS = ("steps", "one", "alone", "_logs", "_moments", "_all_activations", "_of_predictions")


def test_threads_that_need_the_same_program_compile_it_once():
    times = []
    shared = Shared(lambda a, b: times.append(0) or a + b)
    begin = Barrier(4)

    def call(number):
        begin.wait()
        return float(shared(np.float32(number), np.float32(1)))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(call, range(4))) == [1, 2, 3, 4]
    assert len(times) == 1
    assert shared(np.zeros(2, "float32"), np.ones(2, "float32")).tolist() == [1, 1]
    assert len(times) == 2, "other shapes are another program"


def test_what_did_not_compile_is_raised_and_may_be_tried_again():
    fails = [True]

    def function(a):
        if fails.pop():
            raise MemoryError("no room")
        fails.append(False)
        return a + 1

    shared = Shared(function)
    needed = [Needed(shared, (np.float32(1),))]
    with pytest.raises(MemoryError, match="no room"):
        compile_all(needed)
    fails.append(False)
    compile_all(needed)
    assert float(shared(np.float32(1))) == 2


@pytest.mark.parametrize(("together", "strands"), [(1, 1), (4, 2)])
def test_all_that_a_trial_needs_is_compiled_when_it_begins(together, strands):
    digits = load_dataset("digits")
    trainer = fused_trainer(small_model(dropout=0.2), digits, together, strands)
    trials = trials_of(digits, [0.01] * together, steps_per_epoch=None)
    with traced() as before:
        trainer._begin(trials)
    with traced() as after:
        records = list(trainer.train_together(trials))
    assert all(record.outcome == "finished" for record in records)
    ours = [text for text in (*before, None, *after) if text is None or _is_ours(text)]
    assert ours.index(None) > 5, "there are programs"
    assert ours[-1] is None, "and none is compiled later"


def _is_ours(text):
    return any(f"jit({name}" in text for name in OURS)
