"""The reference against the definition: each value, with the exact moments of its population."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizations import KINDS, calls, corrections
from normcraft.moments import reference
from tolerances import assert_close

pytestmark = pytest.mark.any_backend

each_kind = pytest.mark.parametrize("kind", KINDS)


def by_definition(call):
    moments, y = call.moments(), np.empty(call.x.shape)
    r, d = corrections(call) if call.kind == "batch_renorm" else (None, None)
    for index in itertools.product(*map(range, call.x.shape)):
        mean, variance, _ = moments[call.population(index)]
        channel = index[call.axis]
        value = (call.x[index] - mean) / (variance + call.options["epsilon"]) ** 0.5
        if r is not None:
            value = r[channel] * value + d[channel]
        y[index] = call.gamma[channel] * value + call.beta[channel]
    return y


@each_kind
@given(st.data())
def test_each_value_is_normalized_with_its_population(kind, data):
    call = data.draw(calls(kind))
    assert_close(call.run().y, by_definition(call), "float64")


@each_kind
@given(st.data())
def test_the_statistics_are_those_of_the_populations(kind, data):
    call = data.draw(calls(kind))
    result = call.run()
    moments = call.moments()
    assert result.mean.shape == result.variance.shape == result.count.shape
    assert result.mean.size == len(moments)
    for name, (mean, variance, count) in moments.items():
        np.testing.assert_allclose(result.mean[name], mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(result.variance[name], variance, rtol=0, atol=1e-12)
        assert result.count[name] == count


@each_kind
@given(st.data())
def test_without_gamma_and_beta_they_are_ones_and_zeros(kind, data):
    call = data.draw(calls(kind))
    ones, zeros = np.ones(len(call.gamma)), np.zeros(len(call.beta))
    plain, explicit = call.run(gamma=None, beta=None), call.run(gamma=ones, beta=zeros)
    assert np.array_equal(plain.y, explicit.y)
    for name in ("x", "gamma", "beta"):
        a, b = (getattr(result.gradients(call.x), name) for result in (plain, explicit))
        assert np.array_equal(a, b)


@each_kind
@given(st.data())
def test_nothing_that_was_given_is_changed(kind, data):
    call = data.draw(calls(kind))
    given_ones = [call.x, call.gamma, call.beta, dy := np.ones(call.x.shape)]
    before = [value.copy() for value in given_ones]
    call.run().gradients(dy)
    assert all(map(np.array_equal, given_ones, before))


@given(st.data())
def test_masked_values_move_no_statistic(data):
    call = data.draw(calls("batch").filter(lambda call: not call.counted.all()))
    undefined = call.run(x=np.where(call.counted, call.x, np.nan))
    assert np.array_equal(call.run().mean, undefined.mean)
    assert np.array_equal(call.run().variance, undefined.variance)


@given(st.data())
def test_a_ghost_batch_of_all_rows_is_a_batch(data):
    call = data.draw(calls("ghost_batch"))
    options = {**call.options, "virtual_batch_size": len(call.x)}
    ghost = call.run(options=options)
    del options["virtual_batch_size"]
    batch = reference.batch_norm(call.x, call.gamma, call.beta, **options)
    assert np.array_equal(ghost.y, batch.y)
    assert np.array_equal(ghost.mean, batch.mean[None])


@given(st.data())
def test_unlimited_renormalization_is_what_inference_computes(data):
    call = data.draw(calls("batch_renorm"))
    kept = {**call.options, "r_min": 0.0, "r_max": float("inf"), "d_max": float("inf")}
    axis, epsilon = (call.options[name] for name in ("axis", "epsilon"))
    kept["moving_stddev"] = np.maximum(kept["moving_stddev"], epsilon**0.5)
    variance = kept["moving_stddev"] ** 2 - epsilon
    expected = reference.inference(
        call.x, kept["moving_mean"], variance, call.gamma, call.beta, axis=axis, epsilon=epsilon
    )
    np.testing.assert_allclose(call.run(options=kept).y, expected, rtol=1e-9, atol=1e-9)


@given(st.data())
def test_renormalization_without_room_is_batch_normalization(data):
    call = data.draw(calls("batch_renorm"))
    mask, axis, epsilon = (call.options[name] for name in ("mask", "axis", "epsilon"))
    closed = {**call.options, "r_min": 1.0, "r_max": 1.0, "d_max": 0.0}
    batch = reference.batch_norm(
        call.x, call.gamma, call.beta, axis=axis, epsilon=epsilon, mask=mask
    )
    assert np.array_equal(call.run(options=closed).y, batch.y)


@given(st.data())
def test_inference_with_the_statistics_of_a_batch_is_training(data):
    call = data.draw(calls("batch"))
    batch = call.run()
    axis, epsilon = (call.options[name] for name in ("axis", "epsilon"))
    y = reference.inference(
        call.x, batch.mean, batch.variance, call.gamma, call.beta, axis=axis, epsilon=epsilon
    )
    assert_close(y, batch.y, "float64")


def test_a_batch_that_is_masked_altogether_has_mean_and_variance_zero():
    batch = reference.batch_norm(np.array([[4.0], [6.0]]), mask=[False, False], epsilon=0.25)
    assert (batch.mean, batch.variance, batch.count) == (0.0, 0.0, 0)
    assert batch.y.tolist() == [[8.0], [12.0]]
    assert batch.gradients(np.ones((2, 1))).x.tolist() == [[2.0], [2.0]]


def test_far_from_zero_no_digit_is_lost():
    x = np.random.default_rng(0).normal(1e6, 1.0, (64, 3))
    near = reference.batch_norm(x - 1e6)
    np.testing.assert_allclose(reference.batch_norm(x).variance, near.variance, rtol=1e-12)
