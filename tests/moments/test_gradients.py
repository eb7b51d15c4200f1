"""The backward passes against finite differences of the forward ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizations import KINDS, calls, corrections
from normcraft.moments import reference

pytestmark = pytest.mark.any_backend

STEP = 1e-3


def differences(function, at):
    """The gradient of a function of an array, by central differences of order four."""
    gradient = np.empty(at.shape)
    for index in np.ndindex(at.shape):

        def moved(steps, index=index):
            other = at.copy()
            other[index] += steps * STEP
            return function(other)

        gradient[index] = 8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))
    return gradient / (12 * STEP)


def assert_same_gradient(actual, expected):
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def forward_of(call):
    """The forward pass whose derivative the backward pass is: r and d do not move with x."""
    if call.kind != "batch_renorm":
        return lambda **changes: call.run(**changes).y
    shape = [-1 if axis == call.axis else 1 for axis in range(call.x.ndim)]
    r, d = (value.reshape(shape) for value in corrections(call))
    known = {name: call.options[name] for name in ("axis", "epsilon", "mask")}

    def renormalized(x=call.x, gamma=call.gamma, beta=call.beta):
        corrected = r * reference.batch_norm(x, **known).y + d
        return gamma.reshape(shape) * corrected + beta.reshape(shape)

    return renormalized


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_all_three_gradients_are_those_of_finite_differences(kind, data):
    call = data.draw(calls(kind, largest=3))
    dy = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=call.x.shape)
    gradients, forward = call.run().gradients(dy), forward_of(call)
    for name in ("x", "gamma", "beta"):

        def loss(value, name=name):
            return np.sum(dy * forward(**{name: value}))

        assert_same_gradient(getattr(gradients, name), differences(loss, getattr(call, name)))


@given(st.data())
def test_no_gradient_pushes_the_mean_of_what_is_centered(data):
    call = data.draw(calls("batch"))
    dy = np.random.default_rng(1).normal(size=call.x.shape) * call.counted
    others = tuple(axis for axis in range(call.x.ndim) if axis != call.axis)
    pushed = np.sum(call.run().gradients(dy).x, axis=others)
    counts = call.run().count
    np.testing.assert_allclose(pushed[counts > 0], 0.0, atol=1e-9)
