"""Initial weights for many seeds: once a model is known, its initializers alone are asked."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from normcraft._core.keras_private import sublayers
from normcraft.surgery.reinitialize import (
    WEIGHTS,
    Drawn,
    draw_weights,
    drawn_variables,
    site_seed,
    weights_of,
)

__all__ = ["Drawing"]

Array = np.ndarray[Any, np.dtype[Any]]
Draw = Callable[[int], Any]  # from a seed to a value
FIRST = 16  # seeds of a layer's initializers that are looked at
OURS = ("keras.", "normcraft.")


class Drawing:
    """`draw_weights` of one model for many seeds.

    To draw is to build the layers anew, and that takes ten times as long as the random numbers. So
    the first two draws show which values are the same for every seed, and which an initializer
    gives, with which of the seeds that Keras draws for it. From the third on those initializers are
    called alone. Where that does not give both draws bit by bit, or where layers or initializers
    are not Keras's, each draw builds the layers.

    Args:
        model: A built model; it is not changed.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> drawing = Drawing(model)
        >>> drawn = [drawing.weights(seed)[0] for seed in range(3)]
        >>> bool((drawn[2] == draw_weights(model, 2)[0]).all())
        True
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._first: tuple[int, dict[int, Drawn]] | None = None
        self._draws: list[Draw] | None = None
        self._is_known = True

    def weights(self, seed: int) -> list[Array]:
        """Initial weights of a trial.

        Args:
            seed: The trial's seed.

        Returns:
            Arrays in the order of `model.variables`, as `draw_weights` gives them.
        """
        if self._draws is not None:
            return [keras.ops.convert_to_numpy(draw(seed)) for draw in self._draws]
        if not self._is_known:
            return draw_weights(self._model, seed)
        drawn = drawn_variables(self._model, seed)
        self._learn(seed, drawn)
        return weights_of(self._model, drawn)

    def _learn(self, seed: int, drawn: dict[int, Drawn]) -> None:
        if self._first is None:
            self._first = seed, drawn
        elif self._first[0] != seed:
            draws = [self._draw_of(v, seed, drawn) for v in self._model.variables]
            known = [draw for draw in draws if draw is not None]
            self._is_known = len(known) == len(draws)
            self._draws = known if self._is_known else None
            self._first = None

    def _draw_of(self, variable: Any, seed: int, drawn: dict[int, Drawn]) -> Draw | None:
        if id(variable) not in drawn:
            return lambda _: variable
        assert self._first is not None
        first_seed, first = self._first
        one, two = first[id(variable)], drawn[id(variable)]
        if not _is_ours(one.layer):
            return None
        before, after = _value(one.variable), _value(two.variable)
        same = np.array_equal(before, after, equal_nan=before.dtype.kind == "f")
        if not same or after.size == 1:  # two single values may be the same by chance
            for draw in _draws(one, first_seed):
                if _gives(draw, first_seed, before) and _gives(draw, seed, after):
                    return draw
        return (lambda _: after.copy()) if same else None  # who is given it may write on it


@dataclass(frozen=True)
class _Seeded:
    """What an initializer gives for the seed that Keras draws for it in a layer of its own.

    Attributes:
        key: Key of the layer.
        number: Which of the seeds that are drawn there.
        initializer: The initializer; None for the state of a random layer.
        shape: Shape of the variable.
        dtype: Its dtype.
    """

    key: str
    number: int
    initializer: Any
    shape: tuple[int, ...]
    dtype: str

    def __call__(self, seed: int) -> Any:
        own = _seeds(seed, self.key)[self.number]
        if self.initializer is None:
            return np.array([own, 0], self.dtype)
        settings = {**self.initializer.get_config(), "seed": own}
        return type(self.initializer).from_config(settings)(self.shape, dtype=self.dtype)


def _draws(drawn: Drawn, seed: int) -> Iterator[_Seeded]:
    # Whatever could have given the value of a variable.
    key, layer, variable = drawn
    seeds, shape, dtype = _seeds(seed, key), tuple(variable.shape), str(variable.dtype)
    if "float" not in dtype:
        yield from (_Seeded(key, number, None, shape, dtype) for number in range(FIRST))
        return
    for part in sublayers(layer):
        for held in vars(part).values():
            own = getattr(held, "seed", None)
            if isinstance(held, keras.initializers.Initializer) and own in seeds:
                yield _Seeded(key, seeds.index(own), held, shape, dtype)


def _seeds(seed: int, key: str) -> list[int]:
    # As Keras draws them from Python's generator, seeded for the layer.
    generator = random.Random(site_seed(seed, WEIGHTS, key))
    return [generator.randint(1, int(1e9)) for _ in range(FIRST)]


def _is_ours(layer: Any) -> bool:
    held = (vars(part).items() for part in sublayers(layer))
    initializers = [v for pairs in held for name, v in pairs if name.endswith("initializer")]
    return all(
        type(one).__module__.startswith(OURS)
        for one in [*sublayers(layer), *(v for v in initializers if v is not None)]
    )


def _value(variable: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(variable))


def _gives(draw: Draw, seed: int, expected: Array) -> bool:
    with suppress(ValueError):  # an initializer may not take the shape of another's variable
        found = _value(draw(seed))
        return found.dtype == expected.dtype and np.array_equal(found, expected)
    return False
