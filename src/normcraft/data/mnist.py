"""Handwritten digits, 28 by 28 pixels.

Source: Y. LeCun, C. Cortes and C. Burges, The MNIST Database of Handwritten Digits, 1998.
"""

from __future__ import annotations

from normcraft.data._dataset import Dataset
from normcraft.data._keras_datasets import load_keras_dataset

__all__ = ["CLASSES", "LICENCE", "SHAPE", "load"]

SHAPE = (28, 28)
CLASSES = tuple("0123456789")
LICENCE = "CC BY-SA 3.0"


def load() -> Dataset:
    """60,000 training and 10,000 test images, uint8, through `keras.datasets`.

    Returns:
        The dataset.

    Example:
        >>> SHAPE, len(CLASSES)
        ((28, 28), 10)
    """
    return load_keras_dataset("mnist", CLASSES)
