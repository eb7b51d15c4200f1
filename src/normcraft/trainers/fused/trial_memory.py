"""What a trial takes of an accelerator's memory, and so how many one program trains."""

from __future__ import annotations

import math
from collections.abc import Iterable

import keras

from normcraft.graph import LayerGraph
from normcraft.surgery.probe import BATCH_SIZE
from normcraft.trainers.fused.device import device_memory
from normcraft.trainers.fused.forms import places

__all__ = ["bytes_of_trial", "group_size"]

MOST = 64  # trials, from which a step of each takes hardly less time in larger groups
VALUE = 4  # bytes
COPIES = 4  # of a variable: itself, its gradient, two of the optimizer's


def group_size(models: Iterable[keras.Model], batch_sizes: Iterable[int], trials: int) -> int:
    """How many trials one program trains, so that all programs have as many.

    Half of the memory is for the data. Where this is too many after all, groups are halved.

    Args:
        models: Built models.
        batch_sizes: Samples a step, one for each model.
        trials: Trials of an arm.

    Returns:
        1 to 64.
    """
    each = max(map(bytes_of_trial, models, batch_sizes))
    most = max(1, min(MOST, device_memory() // 2 // each))
    return math.ceil(trials / math.ceil(trials / most))


def bytes_of_trial(model: keras.Model, batch_size: int) -> int:
    """Roughly the memory that a trial takes.

    In training every layer's output is kept, in judging two of a large batch at a time; a
    convolution as a product of matrices writes its patches.

    Args:
        model: A built model.
        batch_size: Samples a step.

    Returns:
        Bytes.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8)])
        >>> bytes_of_trial(model, 32)  # 40 weights, 2 outputs of 256 samples
        17024
    """
    calls = LayerGraph.read(model).calls
    outputs = [math.prod(n or 1 for n in t.shape[1:]) for call in calls for t in call.outputs]
    patches = [
        place.convolution.patches / batch_size
        for place in places(model, batch_size)
        if place.convolution is not None
    ]
    most = max(patches, default=0)
    training = batch_size * (VALUE * sum(outputs) + most)
    judging = BATCH_SIZE * (VALUE * 2 * max(outputs) + most)
    return int(COPIES * VALUE * model.count_params() + max(training, judging))
