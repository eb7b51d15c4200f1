"""A copy of a model to run, and which of its variables is whose."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

from normcraft.graph import LayerGraph
from normcraft.surgery.planning import Plan
from normcraft.surgery.rebuild import Rebuild
from normcraft.surgery.transfer import copy_flags, copy_weights

__all__ = ["Copy", "copy_to_run"]


class Copy(NamedTuple):
    """A copy of a model.

    Attributes:
        model: A plain model with the same weights and flags, not compiled.
        links: `(original, own)` of each variable that has its value from the original.
    """

    model: keras.Model
    links: list[tuple[Any, Any]]


def copy_to_run(model: keras.Model) -> Copy:
    """A copy whose calls have the names of the original's.

    Args:
        model: A built model; it is not changed.

    Returns:
        The copy.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="head")])
        >>> copy = copy_to_run(model)
        >>> [call.site for call in LayerGraph.read(copy.model).calls][-1], len(copy.links)
        ('head', 2)
    """
    graph = LayerGraph.read(model)
    rebuild = Rebuild(graph, Plan(), plain=True)
    copy = rebuild.model(model)
    links: list[tuple[Any, Any]] = []
    copy_flags(model, copy, deep=False)
    for _, original, new in sorted(rebuild.pairs, key=lambda pair: pair[0].count("/")):
        opened = id(original) in graph.prefixes
        copy_flags(original, new, deep=not opened)
        if not opened:
            links += copy_weights(original, new)
    return Copy(copy, links)
