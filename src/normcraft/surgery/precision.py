"""A model computed in float64, so that two functions can be told apart from their rounding."""

from __future__ import annotations

from typing import Any

import keras

from normcraft.graph import LayerGraph
from normcraft.surgery.copies import copy_layer, edited_config
from normcraft.surgery.planning import Plan
from normcraft.surgery.rebuild import Rebuild
from normcraft.surgery.transfer import copy_weights

__all__ = ["in_float64"]


def in_float64(model: keras.Model) -> keras.Model:
    """A copy of a model that holds the same weights and computes in float64.

    Args:
        model: A built model; it is not changed.

    Returns:
        A plain model, not compiled.
    """
    graph = LayerGraph.read(model)

    def copy(layer: Any, config: dict[str, Any] | None, key: str) -> Any:
        return copy_layer(layer, _widened(config or edited_config(layer)))

    rebuild = Rebuild(graph, Plan(), copy=copy, plain=True)
    wide = rebuild.model(model)
    for _, original, new in rebuild.pairs:
        if id(original) not in graph.prefixes:
            copy_weights(original, new)
    return wide


def _widened(config: Any) -> Any:
    if isinstance(config, dict):
        if "DTypePolicy" in str(config.get("class_name")):
            return "float64"
        return {key: _of_key(key, value) for key, value in config.items()}
    return [_widened(item) for item in config] if isinstance(config, list) else config


def _of_key(key: str, value: Any) -> Any:
    if key == "dtype" and isinstance(value, str):
        return "float64" if "float" in value else value
    return _widened(value)
