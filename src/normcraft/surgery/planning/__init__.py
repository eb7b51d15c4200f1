"""What becomes of each call and each layer of a model, decided before anything is built."""

from normcraft.surgery.planning.activation import plan_activations, replaced_activations
from normcraft.surgery.planning.bias import plan_biases
from normcraft.surgery.planning.insertion import plan_insertions
from normcraft.surgery.planning.plan import Fold, Insertion, LayerEdit, Plan
from normcraft.surgery.planning.removal import plan_removal
from normcraft.surgery.planning.rescaling import plan_rescaling

__all__ = [
    "Fold",
    "Insertion",
    "LayerEdit",
    "Plan",
    "plan_activations",
    "plan_biases",
    "plan_insertions",
    "plan_removal",
    "plan_rescaling",
    "replaced_activations",
]
