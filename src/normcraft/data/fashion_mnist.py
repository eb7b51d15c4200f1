"""Articles of clothing, 28 by 28 pixels, in the form of MNIST.

Source: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, 2017, https://arxiv.org/abs/1708.07747.
"""

from __future__ import annotations

from normcraft.data._dataset import Dataset
from normcraft.data._keras_datasets import load_keras_dataset

__all__ = ["CLASSES", "LICENCE", "SHAPE", "load"]

SHAPE = (28, 28)
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
LICENCE = "MIT"


def load() -> Dataset:
    """60,000 training and 10,000 test images, uint8, through `keras.datasets`.

    Returns:
        The dataset.

    Example:
        >>> SHAPE, len(CLASSES)
        ((28, 28), 10)
    """
    return load_keras_dataset("fashion_mnist", CLASSES)
