"""Fresh weights from a seed: the same layer gets the same weights in every arm."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from normcraft._core.keras_private import sublayers
from normcraft.graph import LayerGraph
from normcraft.surgery.copies import copy_layer, edited_config
from normcraft.surgery.planning import Plan
from normcraft.surgery.rebuild import Rebuild

__all__ = ["Drawn", "draw_weights", "drawn_variables", "kept_variables", "site_seed", "weights_of"]

Array = np.ndarray[Any, np.dtype[Any]]
WEIGHTS = "weights"  # what the seeds are for


class Drawn(NamedTuple):
    """A variable that was drawn.

    Attributes:
        key: Key of its layer.
        layer: The layer's copy, built.
        variable: The variable.
    """

    key: str
    layer: Any
    variable: Any


def site_seed(seed: int, *parts: object) -> int:
    """A seed for one purpose, derived from a trial's seed.

    Args:
        seed: The trial's seed.
        *parts: What it is for, for example a layer's key and an epoch.

    Returns:
        An integer in [0, 2³¹), the same on every machine.

    Example:
        >>> site_seed(0, "conv") == site_seed(0, "conv") != site_seed(1, "conv")
        True
    """
    text = "/".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def draw_weights(model: keras.Model, seed: int) -> list[Array]:
    """Initial weights of a model drawn anew by its own initializers.

    The weights of a layer follow from the seed and the layer's key alone, so that two variants of a
    model share them wherever they share the layer. Frozen layers and adapted preprocessing keep
    theirs. Seeds fixed in an initializer are set aside: otherwise every trial would begin alike.

    Args:
        model: A built model; it is not changed.
        seed: The trial's seed.

    Returns:
        Arrays in the order of `model.variables`.

    Example:
        >>> from normcraft.surgery import place
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu", name="a")])
        >>> arm = place(model, "input+output").model
        >>> kernels = draw_weights(model, 7)[0], draw_weights(arm, 7)[4]
        >>> bool((kernels[0] == kernels[1]).all())
        True
    """
    return weights_of(model, drawn_variables(model, seed))


def weights_of(model: keras.Model, drawn: dict[int, Drawn]) -> list[Array]:
    """What was drawn, with the model's own values where it keeps them.

    Args:
        model: The model.
        drawn: What `drawn_variables` gave.

    Returns:
        Arrays in the order of `model.variables`.
    """
    values = (drawn[id(v)].variable if id(v) in drawn else v for v in model.variables)
    return [keras.ops.convert_to_numpy(value) for value in values]


def drawn_variables(model: keras.Model, seed: int) -> dict[int, Drawn]:
    """The variables of a copy of a model, drawn anew.

    Args:
        model: A built model; it is not changed.
        seed: The trial's seed.

    Returns:
        By `id` of the model's own variable, but for those that are kept.
    """
    graph = LayerGraph.read(model)
    rebuild = Rebuild(
        graph,
        Plan(),
        copy=lambda layer, config, key: _seeded_copy(layer, site_seed(seed, WEIGHTS, key)),
        plain=True,
    )
    with _random_state_kept():
        rebuild.model(model)
    found: dict[int, Drawn] = {}
    for key, original, new in rebuild.pairs:
        if id(original) not in graph.prefixes:
            kept = {id(variable) for variable in kept_variables(original)}
            found |= {
                id(old): Drawn(key, new, variable)
                for old, variable in zip(original.variables, new.variables, strict=True)
                if id(old) not in kept
            }
    return found


def kept_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The variables that `draw_weights` leaves: those of frozen layers and adapted preprocessing.

    Args:
        layer: A built layer or model.

    Returns:
        Variables.
    """
    kept = (part for part in sublayers(layer) if not part.trainable or hasattr(part, "adapt"))
    return [variable for part in kept for variable in part.variables]


def _seeded_copy(layer: keras.layers.Layer, seed: int) -> keras.layers.Layer:
    # Keras initializers without a seed of their own draw one from Python's generator when they are
    # made; the layer is built right after this returns.
    random.seed(seed)
    np.random.seed(seed)
    return copy_layer(layer, _without_seeds(edited_config(layer)))


def _without_seeds(config: Any) -> Any:
    if isinstance(config, dict):
        if config.get("module") == "keras.initializers" and "seed" in config.get("config", {}):
            return {**config, "config": {**config["config"], "seed": None}}
        return {key: _without_seeds(value) for key, value in config.items()}
    if isinstance(config, list):
        return [_without_seeds(value) for value in config]
    return config


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
