"""Ghost batch normalization: batch normalization by parts of the batch (Hoffer et al., 2017)."""

from __future__ import annotations

from typing import Any

import keras

from normcraft.kinds._kind import Shape
from normcraft.kinds.batch import inference_affine, learned, refusal, set_statistics, statistics
from normcraft.layers import GhostBatchNormalization

__all__ = [
    "ABSORBS_BIAS",
    "build",
    "inference_affine",
    "learned",
    "matches",
    "refusal",
    "set_statistics",
    "statistics",
]

ABSORBS_BIAS = True
VIRTUAL_BATCH_SIZE = 16  # half of Keras's batch, and of ours


def build(axis: int, name: str, *, shape: Shape, **config: Any) -> keras.layers.Layer:
    """A `normcraft.layers.GhostBatchNormalization`; by default 16 samples a virtual batch.

    Args:
        axis: Axis of the channels.
        name: Name of the layer.
        shape: Shape of what it normalizes, the batch axis first.
        **config: Further arguments of the layer, `virtual_batch_size` among them.

    Returns:
        The layer, not yet built. Keras has no such layer: the model needs normcraft to be loaded.

    Example:
        >>> build(-1, "n", shape=(None, 8)).virtual_batch_size
        16
    """
    settings = {"virtual_batch_size": VIRTUAL_BATCH_SIZE} | config
    return GhostBatchNormalization(axis=axis, name=name, **settings)


def matches(layer: Any) -> bool:
    """Whether a layer is of this kind.

    Returns:
        True for `GhostBatchNormalization`.
    """
    return isinstance(layer, GhostBatchNormalization)
