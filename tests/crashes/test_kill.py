"""Killed at any moment, and continued, a sweep comes to the records of an unbroken one.

`pytest tests/crashes --kills 50` kills it that often; CI less.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from itertools import islice

import keras
import numpy as np
import pytest

from crashes.runs import TRIALS, Run, finish, records

pytestmark = pytest.mark.slow

# What is waited for, and the longest that the kill may come after it, in seconds. A write takes
# about a millisecond, an epoch some tens of them.
MOMENTS = {"epoch": 0.05, "written": 0.0, "write": 0.002}
WHERE = {"epoch": "training", "begin": "training", "written": "between", "write": "writing"}


@pytest.fixture(scope="module", params=["local", "processes"])
def unbroken(request, tmp_path_factory):
    store = tmp_path_factory.mktemp("whole") / "s.db"
    finish(str(store), request.param)
    return request.param, store


def test_killed_and_continued_it_comes_to_the_same(unbroken, tmp_path, pytestconfig):
    executor, whole = unbroken
    kills = pytestconfig.getoption("--kills") // 2
    store, chance = tmp_path / "s.db", random.Random(executor)
    landed = Counter()
    while landed.total() < kills or len(landed) < 3:
        assert landed.total() < 2 * kills + 20, f"never in the midst of {set(WHERE.values())}"
        wanted = list(MOMENTS)[landed.total() % 3]
        last = kill_at(Run(str(store), executor), wanted, chance)
        if last == "end":  # it was through: begin again
            check(store, whole)
            store = tmp_path / f"s{landed.total()}.db"
        else:
            landed[WHERE[last]] += 1
    print(executor, dict(landed))
    finish(str(store), executor)
    check(store, whole)


def kill_at(run, wanted, chance):
    """Kills it shortly after it said a word for the n-th time; what it had said last."""
    for word in islice((w for w in run.words() if w in {wanted, "end"}), chance.randrange(1, 3)):
        last = word
    if last != "end":
        time.sleep(chance.uniform(0, MOMENTS[wanted]))
    return run.kill() or last


def check(store, whole):
    expected = records(whole)
    assert len(expected) == TRIALS
    assert records(store) == expected
    found, wanted = (sorted(each.with_suffix(".models").iterdir()) for each in (store, whole))
    assert [file.name for file in found] == [file.name for file in wanted]
    for one, other in zip(found, wanted, strict=True):
        pairs = zip(
            *(keras.saving.load_model(file).get_weights() for file in (one, other)), strict=True
        )
        assert all(np.array_equal(a, b) for a, b in pairs), (
            "the best model is that of the best seed"
        )
