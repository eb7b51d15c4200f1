"""Trials as compiled programs on JAX: whole epochs a call, data on the device."""

from normcraft.trainers.fused.device import on_cpu
from normcraft.trainers.fused.forms import has_choice
from normcraft.trainers.fused.resident import is_held
from normcraft.trainers.fused.speeds import measure_speeds
from normcraft.trainers.fused.trainer import FusedTrainer
from normcraft.trainers.fused.trial_memory import group_size

__all__ = ["FusedTrainer", "group_size", "has_choice", "is_held", "measure_speeds", "on_cpu"]
