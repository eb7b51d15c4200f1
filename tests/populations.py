"""Normal data, their population moments in float64, and layers held against them."""

import numpy as np

from normcraft.kinds import batch


def data(*shape, mean=0.7, std=1.5, seed=0):
    return np.random.default_rng(seed).normal(mean, std, shape).astype("float32")


def moments(values, axis=-1):
    """Mean and biased variance of each channel over everything else, in float64."""
    flat = np.moveaxis(np.asarray(values, "float64"), axis, -1)
    flat = flat.reshape(-1, flat.shape[-1])
    return flat.mean(axis=0), flat.var(axis=0)


def check(layer, expected, relative=1e-5):
    """Asserts that a layer's moving statistics are these moments."""
    mean, variance = batch.statistics(layer)
    scale = np.sqrt(expected[1]) + np.abs(expected[0])
    np.testing.assert_allclose(mean / scale, expected[0] / scale, rtol=0, atol=relative)
    np.testing.assert_allclose(variance, expected[1], rtol=relative, atol=1e-9)
