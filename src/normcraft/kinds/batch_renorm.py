"""Batch renormalization: in training nearly what it is at inference (Ioffe, 2017)."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from normcraft.kinds._kind import Shape
from normcraft.kinds.batch import inference_affine, learned, refusal, set_statistics, statistics
from normcraft.layers import BatchRenormalization

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
# Where the paper's schedule ends (section 4); without limits young averages drive training apart.
CLIPPING = {"rmax": 3.0, "rmin": 1 / 3.0, "dmax": 5.0}


def build(axis: int, name: str, *, shape: Shape, **config: Any) -> keras.layers.Layer:
    """A `keras.layers.BatchNormalization(renorm=True)`, which Keras has from 3.14 on; else ours.

    Args:
        axis: Axis of the channels.
        name: Name of the layer.
        shape: Shape of what it normalizes, the batch axis first.
        **config: Further arguments of the layer; `renorm_clipping` is that at the end of the
            paper's schedule by default.

    Returns:
        The layer, not yet built.

    Example:
        >>> build(-1, "n", shape=(None, 8)).renorm_clipping["rmax"]
        3.0
    """
    settings = {"axis": axis, "name": name, "renorm_clipping": dict(CLIPPING)} | config
    if "renorm" in inspect.signature(keras.layers.BatchNormalization).parameters:
        return keras.layers.BatchNormalization(renorm=True, **settings)
    return BatchRenormalization(**settings)


def matches(layer: Any) -> bool:
    """Whether a layer is of this kind.

    Returns:
        True for batch normalization with `renorm`.
    """
    batch = isinstance(layer, keras.layers.BatchNormalization)
    return batch and bool(getattr(layer, "renorm", False))
