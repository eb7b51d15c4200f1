"""Colour photographs in ten classes, 32 by 32 pixels.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
"""

from __future__ import annotations

from normcraft.data._dataset import Dataset
from normcraft.data._keras_datasets import load_keras_dataset

__all__ = ["CLASSES", "LICENCE", "SHAPE", "load"]

SHAPE = (32, 32, 3)
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
LICENCE = "not stated by the authors"


def load() -> Dataset:
    """50,000 training and 10,000 test images, uint8, through `keras.datasets`.

    Returns:
        The dataset.

    Example:
        >>> SHAPE, len(CLASSES)
        ((32, 32, 3), 10)
    """
    return load_keras_dataset("cifar10", CLASSES)
