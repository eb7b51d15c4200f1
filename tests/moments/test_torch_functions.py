"""The reference against PyTorch's functions and their automatic derivatives, in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizations import calls
from normcraft.moments import reference

pytestmark = pytest.mark.any_backend
torch = pytest.importorskip("torch")
functions = torch.nn.functional


def with_channels(call, axis):
    moved = np.ascontiguousarray(np.moveaxis(call.x, call.axis, axis))
    return moved, {**call.options, "axis": axis}


def assert_agrees(call, axis, function):
    """A call with its channels moved to where PyTorch wants them, forward and backward."""
    x, options = with_channels(call, axis)
    result = call.run(x=x, options=options)
    dy = np.random.default_rng(0).normal(size=x.shape)
    inputs = [torch.tensor(value, requires_grad=True) for value in (x, call.gamma, call.beta)]
    y = function(*inputs, options["epsilon"])
    gradients = result.gradients(dy)
    np.testing.assert_allclose(result.y, y.detach(), rtol=1e-9, atol=1e-9)
    expected = torch.autograd.grad(y, inputs, torch.tensor(dy))
    for name, value in zip(("x", "gamma", "beta"), expected, strict=True):
        np.testing.assert_allclose(getattr(gradients, name), value, rtol=1e-8, atol=1e-8)


@given(st.data())
def test_batch_normalization_is_that_of_torch(data):
    unmasked = calls("batch").filter(lambda call: call.options["mask"] is None)
    call = data.draw(unmasked.filter(lambda call: call.x.size > call.x.shape[call.axis]))

    def function(x, gamma, beta, epsilon):
        return functions.batch_norm(x, None, None, gamma, beta, training=True, eps=epsilon)

    assert_agrees(call, 1, function)


@given(st.data())
def test_layer_normalization_is_that_of_torch(data):
    def function(x, gamma, beta, epsilon):
        return functions.layer_norm(x, x.shape[-1:], gamma, beta, epsilon)

    assert_agrees(data.draw(calls("layer")), -1, function)


@given(st.data())
def test_rms_normalization_is_that_of_torch(data):
    def function(x, gamma, beta, epsilon):
        return functions.rms_norm(x, x.shape[-1:], gamma, epsilon) + beta

    assert_agrees(data.draw(calls("rms")), -1, function)


@given(st.data())
def test_group_normalization_is_that_of_torch(data):
    several = calls("group").filter(lambda call: call.run().count.min() > 1)
    call = data.draw(several)

    def function(x, gamma, beta, epsilon):
        return functions.group_norm(x, call.options["groups"], gamma, beta, epsilon)

    assert_agrees(call, 1, function)


@given(st.data())
def test_instance_normalization_is_that_of_torch(data):
    several = calls("instance").filter(lambda call: call.run().count.min() > 1)

    def function(x, gamma, beta, epsilon):
        return functions.instance_norm(x, weight=gamma, bias=beta, eps=epsilon)

    assert_agrees(data.draw(several), 1, function)


@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
def test_moving_averages_are_those_of_torch_given_unbiased_variances(momentum):
    layer = torch.nn.BatchNorm1d(3, momentum=momentum, dtype=torch.float64)
    batches = np.random.default_rng(0).normal(2.0, 3.0, (5, 7, 3))
    results = [reference.batch_norm(batch) for batch in batches]
    for batch in batches:
        layer(torch.tensor(batch))
    kept = None if momentum is None else 1 - momentum
    mean = reference.moving_average([r.mean for r in results], initial=0.0, momentum=kept)
    variances = [reference.unbiased(r.variance, r.count) for r in results]
    variance = reference.moving_average(variances, initial=1.0, momentum=kept)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, variance, rtol=1e-12)
