"""Digests of models, from which the hash of a trial is made."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import keras

from normcraft.records import Arm

__all__ = ["model_digest", "weights_digest"]


def model_digest(arm: Arm) -> str:
    """Digest of an arm's configuration; Keras numbers optimizers' names, which mean nothing.

    Returns:
        SHA-256, 64 hex digits.
    """
    config = json.loads(arm.config)
    settings = config.get("compile_config") or {}
    settings["optimizer"] = _without_names(settings.get("optimizer"))
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def weights_digest(model: keras.Model) -> str:
    """Digest of a model's weights.

    Returns:
        SHA-256, 64 hex digits.
    """
    digest = hashlib.sha256()
    for variable in model.variables:
        digest.update(keras.ops.convert_to_numpy(variable).tobytes())
    return digest.hexdigest()


def _without_names(config: Any) -> Any:
    if not isinstance(config, dict):
        return config
    return {key: _without_names(value) for key, value in config.items() if key != "name"}
