"""The mathematics of normalization, forward and backward, to hold layers against.

Everything is float64 NumPy, written as the formulas stand; nothing is written for speed. Names,
axes and epsilons are those of Keras's layers. docs/mathematics.md goes through it.
"""

from normcraft.moments.reference.averages import moving_average
from normcraft.moments.reference.batch import batch_norm
from normcraft.moments.reference.bessel import unbiased
from normcraft.moments.reference.ghost import ghost_batch_norm
from normcraft.moments.reference.group import group_norm
from normcraft.moments.reference.inference import inference
from normcraft.moments.reference.instance import instance_norm
from normcraft.moments.reference.layer import layer_norm
from normcraft.moments.reference.normalized import Gradients, Normalized
from normcraft.moments.reference.renorm import batch_renorm
from normcraft.moments.reference.renorm_averages import RenormAverages
from normcraft.moments.reference.rms import rms_norm

__all__ = [
    "Gradients",
    "Normalized",
    "RenormAverages",
    "batch_norm",
    "batch_renorm",
    "ghost_batch_norm",
    "group_norm",
    "inference",
    "instance_norm",
    "layer_norm",
    "moving_average",
    "rms_norm",
    "unbiased",
]
