"""Training and validation samples, drawn anew for every seed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from normcraft._core.errors import InputError
from normcraft.data._dataset import Arrays, leaves, map_arrays
from normcraft.data._labels import first_class_ids
from normcraft.data._random import generator

__all__ = ["split", "take"]

Indices = npt.NDArray[np.int64]


def split(y: Arrays, *, validation_fraction: float = 0.2, seed: int) -> tuple[Indices, Indices]:
    """Indices of a training and a validation part, stratified by class.

    Every class gives its share of the validation part, rounded up or down (largest remainders up,
    ties at random). A class always keeps a sample in training: one that has a single sample is not
    validated. Regression targets, and integers most of which occur once, are split at random. Only
    NumPy draws: no upgrade of another package changes which samples a seed trains on.

    Args:
        y: Targets; of several outputs the first with class labels decides.
        validation_fraction: Share of the samples to validate on, between 0 and 1.
        seed: Trial seed; the split depends on it and on the classes only.

    Returns:
        `(training, validation)`, each sorted, together every sample once.

    Raises:
        InputError: The fraction is not between 0 and 1, or there are fewer than two samples.

    Example:
        >>> y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
        >>> training, validation = split(y, validation_fraction=0.25, seed=0)
        >>> len(training), y[validation].tolist()
        (6, [0, 1])
    """
    outputs = list(leaves(y).values())
    num_samples = len(outputs[0])
    if not 0 < validation_fraction < 1:
        raise InputError(
            "the validation fraction is out of range",
            received=str(validation_fraction),
            expected="more than 0 and less than 1",
        )
    if num_samples < 2:
        raise InputError(
            "there is nothing to split", received=f"{num_samples} samples", expected="2 or more"
        )
    random = generator("split", seed)
    classes = first_class_ids(outputs)
    group = np.zeros(num_samples, np.int64)
    if classes is not None:
        _, inverse, counts = np.unique(classes.ids, return_inverse=True, return_counts=True)
        if 2 * np.count_nonzero(counts == 1) <= num_samples:
            group = inverse
    counts = np.bincount(group)
    shares = _shares(counts, validation_fraction, random)
    # A random order, then sorted by class: the first `share` samples of each class are validated.
    order = random.permutation(num_samples)
    order = order[np.argsort(group[order], kind="stable")]
    rank = np.arange(num_samples) - (np.cumsum(counts) - counts)[group[order]]
    is_validation = np.zeros(num_samples, bool)
    is_validation[order[rank < shares[group[order]]]] = True
    return np.flatnonzero(~is_validation), np.flatnonzero(is_validation)


def take(arrays: Arrays, indices: npt.NDArray[np.integer]) -> Arrays:
    """The samples at these indices, of every array of the structure.

    Args:
        arrays: One array, or a tuple or dictionary of them.
        indices: Positions along the first axis.

    Returns:
        Copies of the samples, in the same structure.

    Example:
        >>> take((np.array([1, 2, 3]), np.array([4, 5, 6])), np.array([0, 2]))
        (array([1, 3]), array([4, 6]))
    """
    return map_arrays(lambda array: array[indices], arrays)


def _shares(counts: Indices, fraction: float, random: np.random.Generator) -> Indices:
    # Validation samples of every class: in proportion, in whole numbers that keep the total.
    members = np.where(counts > 1, counts, 0)
    total = int(members.sum())
    wanted = max(1, round(fraction * total))
    shares: Indices
    shares, remainders = np.divmod(members * wanted, total)
    by_remainder = np.lexsort((random.random(len(counts)), -remainders))
    shares[by_remainder[: wanted - shares.sum()]] += 1
    return shares.clip(max=np.maximum(members - 1, 0))
