"""Handwritten digits that come with scikit-learn: small, real, and needing no download.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998, https://doi.org/10.24432/C50P49 (the 1,797 images of its test set).
"""

from __future__ import annotations

import numpy as np

from normcraft.data._dataset import Dataset

__all__ = ["CLASSES", "LICENCE", "SHAPE", "load"]

SHAPE = (8, 8, 1)
CLASSES = tuple("0123456789")
LICENCE = "CC BY 4.0"


def load() -> Dataset:
    """All 1,797 images as training data, as float32 between 0 and 1; there is no test part.

    Returns:
        The dataset.

    Example:
        >>> load().x_train.shape
        (1797, 8, 8, 1)
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return Dataset(
        "digits",
        (x / 16).astype(np.float32).reshape(-1, *SHAPE),
        y.astype(np.int64),
        class_names=CLASSES,
        notes=("pixels were scaled from 0..16 to [0, 1]",),
    )
