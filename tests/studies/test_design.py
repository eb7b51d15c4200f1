"""Grid and Budget: what varies and how long."""

from __future__ import annotations

import numpy as np
import pytest

from normcraft._core.errors import InputError
from normcraft.studies import Budget, Grid, Options

DEFAULT = ("none", "before_activation")


def test_arms_are_all_combinations_that_differ():
    grid = Grid(kinds=("batch", "layer"), activations=("relu", "tanh"), batch_sizes=(16, 32))
    variants = grid.variants(DEFAULT)
    assert len(variants) == len(set(variants)) == (1 + 2) * 2 * 2


def test_kinds_do_not_multiply_what_inserts_nothing():
    grid = Grid(placements=("as_given", "none", "none+input"), kinds=("batch", "layer"))
    assert [(p, k) for p, k, *_ in grid.variants(DEFAULT)] == [
        ("as_given", None),
        ("none", None),
        ("none+input", "batch"),
        ("none+input", "layer"),
    ]


def test_names_are_unique_and_say_only_what_varies():
    grid = Grid(kinds=("batch", "layer"), batch_sizes=(16, 32))
    names = [grid.name(*variant) for variant in grid.variants(DEFAULT)]
    assert len(set(names)) == len(names)
    assert names[1] == "before_activation/batch/batch16"
    assert Grid().name("input", "batch", None, 32) == "input"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Grid(placements=("befor_activation",)), "unknown placement.*did you mean 'before"),
        (lambda: Grid(placements=("",)), "empty placement"),
        (lambda: Grid(placements=()), "placements is empty"),
        (lambda: Grid(kinds=("bach",)), "unknown kind.*did you mean 'batch'"),
        (lambda: Grid(activations=("reluu",)), "unknown activation: received 'reluu'"),
        (lambda: Grid(learning_rates=(0.1, -1.0)), "bad learning rate: received -1.0"),
        (lambda: Grid(learning_rates=(float("nan"),)), "bad learning rate: received nan"),
        (lambda: Grid(batch_sizes=(0,)), "bad batch size: received 0, expected a whole number"),
        (lambda: Grid(batch_sizes=(1.5,)), "bad batch size: received 1.5"),
        (lambda: Budget(seeds=0), "bad number of seeds: received 0"),
        (lambda: Budget(seeds=8.0), "received 8.0, expected a whole number above 0; write 8$"),
        (lambda: Budget(seeds=-8.0), "received -8.0, expected a whole number above 0$"),
        (lambda: Budget(seeds="8"), "bad number of seeds: received '8'"),
        (lambda: Budget(seeds=True), "bad number of seeds: received True"),
        (lambda: Budget(seeds=np.array(1.5)), "bad number of seeds: received array"),
        (lambda: Budget(seeds=10**6), "received 1000000, .* above 0 and up to 100,000$"),
        (lambda: Budget(seeds=[0, 1.0]), "bad seed: received 1.0, .*; write 1$"),
        (lambda: Budget(seeds=()), "seeds is empty"),
        (lambda: Budget(seeds=(-1,)), "bad seed: received -1"),
        (lambda: Budget(epochs=0), "bad epochs: received 0"),
        (lambda: Budget(epochs=5.0), "bad epochs: received 5.0, .*; write 5$"),
        (lambda: Budget(epochs=np.float32(5)), "bad epochs: received np.float32"),
        (lambda: Budget(steps_per_epoch=2.0), "bad steps per epoch: received 2.0"),
        (lambda: Grid(batch_sizes=32.0), "bad batch size: received 32.0, .*; write 32$"),
        (lambda: Options(executor="processes", workers=2.0), "bad number of workers: received 2.0"),
        (lambda: Budget(epochs="3"), "bad epochs: received '3'"),
        (lambda: Budget(steps_per_epoch=-5), "bad steps per epoch: received -5"),
        (lambda: Options(trainer="fast"), "unknown trainer: received 'fast', expected one of auto"),
        (lambda: Options(executor="cloud"), "unknown executor: received 'cloud'"),
        (lambda: Options(initial="zeros"), "unknown initial: received 'zeros'"),
        (lambda: Options(smallest_effect=-0.1), "bad smallest effect: received -0.1"),
    ],
)
def test_bad_values_are_one_clear_line(make, text):
    with pytest.raises(InputError, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("integer", [int, np.int64, np.uint8, np.array])
def test_counts_of_any_integer_type_become_plain_ones(integer):
    budget = Budget(seeds=integer(3), epochs=integer(2), steps_per_epoch=integer(4))
    assert budget == Budget(seeds=3, epochs=2, steps_per_epoch=4)
    assert {type(count) for count in (budget.epochs, budget.steps_per_epoch)} == {int}
    assert [type(seed) for seed in Budget(seeds=[integer(5)]).seeds] == [int]
    assert [type(size) for size in Grid(batch_sizes=integer(16)).batch_sizes] == [int]
    assert type(Options(executor="processes", workers=integer(2)).workers) is int


def test_the_seeds_may_be_an_array():
    assert Budget(seeds=np.arange(4, 7)).seeds == (4, 5, 6)
