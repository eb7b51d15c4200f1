import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normcraft._core.errors import InputError
from normcraft.data import batch_order

SIZES = st.integers(1, 60)
STEPS = st.integers(1, 20)
SEEDS = st.integers(0, 2**32)
EPOCHS = st.integers(0, 50)


@given(SIZES, SIZES, SEEDS, EPOCHS)
def test_without_steps_every_sample_comes_once(n, batch_size, seed, epoch):
    order = batch_order(n, batch_size=batch_size, steps=None, seed=seed, epoch=epoch)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(n))
    other = batch_order(n, batch_size=batch_size + 1, steps=None, seed=seed, epoch=epoch)
    assert order.tolist() == other.tolist()


@given(SIZES, SIZES, STEPS, SEEDS, EPOCHS)
def test_steps_take_whole_permutations_one_after_another(n, batch_size, steps, seed, epoch):
    order = batch_order(n, batch_size=batch_size, steps=steps, seed=seed, epoch=epoch)
    assert len(order) == steps * batch_size
    for start in range(0, len(order), n):
        piece = order[start : start + n]
        assert len(set(piece.tolist())) == len(piece)
    whole = batch_order(n, batch_size=batch_size, steps=None, seed=seed, epoch=epoch)
    assert order[:n].tolist() == whole[: len(order)].tolist()


@given(SIZES, SIZES, STEPS, SEEDS)
def test_the_own_order_goes_on_where_the_last_epoch_stopped(n, batch_size, steps, seed):
    epochs = [
        batch_order(n, batch_size=batch_size, steps=steps, seed=seed, epoch=epoch, shuffle=False)
        for epoch in range(4)
    ]
    assert np.concatenate(epochs).tolist() == [i % n for i in range(4 * steps * batch_size)]


@given(SIZES, SEEDS, EPOCHS)
def test_the_own_order_without_steps_starts_anew(n, seed, epoch):
    order = batch_order(n, batch_size=7, steps=None, seed=seed, epoch=epoch, shuffle=False)
    assert order.tolist() == list(range(n))
    assert order.dtype == np.int64


def test_seeds_and_epochs_draw_their_own_order():
    orders = {
        tuple(batch_order(50, batch_size=8, steps=None, seed=seed, epoch=epoch).tolist())
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


def test_the_order_never_changes():
    order = batch_order(10, batch_size=4, steps=3, seed=3, epoch=2)
    assert order.tolist() == [7, 9, 6, 0, 2, 4, 5, 1, 3, 8, 7, 9]


@pytest.mark.parametrize("name", ["num_samples", "batch_size", "steps"])
def test_a_count_below_one_is_refused(name):
    counts = {"num_samples": 5, "batch_size": 2, "steps": 3, name: 0}
    with pytest.raises(InputError, match=f"{name} is too small: received 0, expected 1 or more"):
        batch_order(counts.pop("num_samples"), **counts, seed=0, epoch=0)


def test_a_seed_or_epoch_below_zero_is_refused():
    with pytest.raises(
        InputError, match="the epoch is below zero: received -1, expected 0 or more"
    ):
        batch_order(5, batch_size=2, steps=1, seed=0, epoch=-1)
    with pytest.raises(InputError, match="the seed is below zero: received -1"):
        batch_order(5, batch_size=2, steps=1, seed=-1, epoch=0)
