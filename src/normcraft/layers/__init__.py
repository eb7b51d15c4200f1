"""Keras layers that normalize: drop-ins that are faster, and whose statistics can be trusted.

For what Keras has already (layer, group, instance and RMS normalization) there is nothing here.
"""

from normcraft.layers.batch_normalization import BatchNormalization
from normcraft.layers.batch_renormalization import BatchRenormalization
from normcraft.layers.frozen_batch_normalization import FrozenBatchNormalization
from normcraft.layers.ghost_batch_normalization import GhostBatchNormalization

__all__ = [
    "BatchNormalization",
    "BatchRenormalization",
    "FrozenBatchNormalization",
    "GhostBatchNormalization",
]
