"""How far two correct computations may be apart, by dtype, relative to the largest value."""

import numpy as np

RELATIVE = {"float64": 1e-12, "float32": 2e-5, "bfloat16": 3e-2, "float16": 4e-3}

# How far an edit that keeps the function may move outputs, likewise.
IDENTITY = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 3e-2, "float16": 4e-3}


def assert_close(actual, expected, dtype: str = "float32") -> None:
    """Asserts that two arrays are the same up to rounding in `dtype`."""
    actual, expected = np.asarray(actual, "float64"), np.asarray(expected, "float64")
    assert actual.shape == expected.shape
    scale = np.max(np.abs(expected), initial=1e-30)
    np.testing.assert_allclose(actual / scale, expected / scale, rtol=0, atol=RELATIVE[dtype])
