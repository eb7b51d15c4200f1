"""Random streams that depend on a seed and a purpose, and on nothing else."""

from __future__ import annotations

from typing import Literal

import numpy as np

from normcraft._core.errors import InputError

__all__ = ["generator"]

# A change of these numbers is a change of every trial.
PURPOSES = {"split": 1, "order": 2}


def generator(purpose: Literal["split", "order"], seed: int, epoch: int = 0) -> np.random.Generator:
    """A generator for one purpose; streams of different purposes, seeds and epochs are independent.

    Args:
        purpose: What is drawn.
        seed: Trial seed.
        epoch: Number of the epoch, 0 for what is drawn once a trial.

    Returns:
        A PCG64 generator.

    Raises:
        InputError: The seed is below zero.
    """
    if seed < 0:
        raise InputError("the seed is below zero", received=str(seed), expected="0 or more")
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence([seed, epoch, PURPOSES[purpose]]))
    )
