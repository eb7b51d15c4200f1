"""Forms of convolution and pooling: the function and the gradients of the library's, any shape."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

jax = pytest.importorskip("jax")

from normcraft.trainers.fused import speeds as speeds_module  # noqa: E402
from normcraft.trainers.fused.forms import in_forms, left_to_library, places  # noqa: E402
from normcraft.trainers.fused.speeds import fastest, measure_speeds  # noqa: E402
from trials import on_processor  # noqa: E402

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="they are JAX's")

layers = keras.layers


@st.composite
def convolutions(draw):
    rank = draw(st.sampled_from([1, 2, 2, 3]))
    depthwise = rank < 3 and draw(st.booleans())
    strides = draw(st.integers(1, 3))
    dilation = draw(st.integers(1, 2)) if strides == 1 else 1
    paddings = ["valid", "same", *(["causal"] if rank == 1 and not depthwise else [])]
    sizes = [draw(st.integers(1, 3)) for _ in range(rank)]
    common = {
        "strides": strides,
        "dilation_rate": dilation,
        "padding": draw(st.sampled_from(paddings)),
        "use_bias": draw(st.booleans()),
        "activation": draw(st.sampled_from([None, "tanh"])),
        "name": "it",
    }
    if depthwise:
        cls = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)[rank - 1]
        size = sizes if rank > 1 else sizes[0]
        make = partial(cls, size, depth_multiplier=draw(st.integers(1, 2)), **common)
    else:
        make = partial(getattr(layers, f"Conv{rank}D"), draw(st.integers(1, 4)), sizes, **common)
    shape = [draw(st.integers(5, 9)) for _ in range(rank)]
    return make, (*shape, draw(st.integers(1, 3)))


@st.composite
def poolings(draw):
    rank = draw(st.integers(1, 3))
    sizes = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    cls = draw(st.sampled_from(["MaxPooling", "AveragePooling"]))
    padding = draw(st.sampled_from(["valid", "same"]))
    shape = [draw(st.integers(3, 7)) for _ in range(rank)]
    return partial(getattr(layers, f"{cls}{rank}D"), sizes, padding=padding), (
        *shape,
        draw(st.integers(1, 3)),
    )


def model_of(layer, shape):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


def value_and_gradients(layer, chosen, values, x, weights):
    def weighed(values, x):
        pairs = list(zip(layer.variables, values, strict=True))
        with in_forms(chosen), keras.StatelessScope(state_mapping=pairs):
            return (layer(x) * weights).sum()

    with in_forms(chosen):
        result = layer(x)
    return result, *jax.grad(weighed, argnums=(0, 1))(values, x)


def choices(place):
    """Names of forms for all parts, so that every form is chosen once at least."""
    for index in range(max(map(len, place.names.values()))):
        yield {part: names[index % len(names)] for part, names in place.names.items()}


def check(layer, shape, x):
    (place,) = places(model_of(layer, shape), len(x))
    weights = np.random.default_rng(1).normal(size=layer(x).shape).astype("float32")
    values = [variable.value for variable in layer.variables]
    wanted = value_and_gradients(layer, [], values, x, weights)
    for form in map(place.form, choices(place)):
        chosen = [] if form is None else [(layer, place.attribute, form)]
        found = value_and_gradients(layer, chosen, values, x, weights)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            assert a.shape == b.shape
            scale = max(1, np.abs(b).max(initial=0))  # of what sums are added up from
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * scale)


@settings(max_examples=15)
@given(convolutions(), st.integers(0, 2**31))
def test_convolutions(case, seed):
    make, shape = case
    check(make(), shape, np.random.default_rng(seed).normal(size=(2, *shape)).astype("float32"))


@settings(max_examples=15)
@given(poolings(), st.integers(0, 2**31), st.booleans())
def test_pooling_also_where_values_tie(case, seed, ties):
    make, shape = case
    x = np.random.default_rng(seed).normal(size=(2, *shape))
    x = np.maximum(np.round(x), 0) if ties else x
    if places(model_of(make(), shape), 2):  # windows that are padded are left to the library
        check(make(), shape, x.astype("float32"))


def test_what_has_no_form_is_left_to_the_library():
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, groups=2, padding="same", name="grouped")(inputs)
    x = layers.MaxPooling2D(3, 2, name="overlapping")(x)
    shared = layers.Conv2D(4, 1, name="shared")
    model = keras.Model(inputs, [shared(x), shared(inputs)])
    assert places(model, 2) == []
    assert left_to_library(model, [])
    steps = layers.TimeDistributed(layers.Conv2D(2, 3), name="steps")(keras.Input((2, 8, 8, 1)))
    assert left_to_library(keras.Model(steps._keras_history.operation.input, steps), [])


def test_a_layer_that_also_meets_an_open_shape_is_left_to_the_library():
    shared, open_, fixed = layers.Conv2D(2, 3), keras.Input((None, None, 1)), keras.Input((5, 5, 1))
    for inputs in ([open_, fixed], [fixed, open_]):
        assert places(keras.Model(inputs, [shared(one) for one in inputs]), 2) == []


def test_outside_of_the_context_a_layer_is_what_it_was():
    layer = layers.Conv2D(2, 3)
    (place,) = places(model_of(layer, (5, 5, 1)), 2)
    before = layer.convolution_op
    form = place.form(next(choices(place)))
    with in_forms([(layer, place.attribute, form)]):
        assert layer.convolution_op is form
    assert layer.convolution_op == before


@on_processor
def test_speeds_are_measured_once_and_remembered(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = model_of(layers.MaxPooling2D(2), (4, 4, 1))
    (place,) = places(model, 2)
    speeds = measure_speeds([model], [2])
    assert speeds[place.key].keys() == {"layer: library", "layer: comparison"}
    assert all(value > 0 for value in speeds[place.key].values())
    monkeypatch.setattr(
        "normcraft.trainers.fused.speeds._times", lambda *_, **__: pytest.fail("again")
    )
    assert measure_speeds([model], [2]) == speeds
    known = {place.key: {"layer: library": 1.0, "layer: comparison": 2.0}}
    assert fastest(place, known) is None
    assert fastest(place, {place.key: {"layer: library": 2.0, "layer: comparison": 1.0}})
    assert fastest(place, {}) is None


@on_processor
def test_programs_side_by_side_have_speeds_of_their_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = model_of(layers.MaxPooling2D(2), (4, 4, 1))
    threads = []
    milliseconds = speeds_module._milliseconds
    monkeypatch.setattr(
        speeds_module, "_milliseconds", lambda *a: threads.append(a[-1]) or milliseconds(*a)
    )
    for strands in (1, 2, 2):
        measure_speeds([model], [2], strands=strands)
    assert threads == [1, 1, 2, 2]


def test_judging_has_forms_of_its_own_without_gradients():
    layer = layers.Conv2D(2, 3, name="it")
    (place,) = places(model_of(layer, (5, 5, 1)), 2)
    judging = place.judging
    assert judging.names == {"forward": place.names["forward"]}
    assert judging.shape == (256, 5, 5, 1)
    assert judging.key != place.key
    x = np.random.default_rng(0).normal(size=(7, 5, 5, 1)).astype("float32")
    for form in map(judging.form, choices(judging)):
        with in_forms([(layer, judging.attribute, form)]):
            found = np.asarray(layer(x))
        np.testing.assert_allclose(found, layer(x), rtol=1e-4, atol=1e-5)
    (pooling,) = places(model_of(layers.MaxPooling2D(2), (4, 4, 1)), 2)
    assert pooling.judging is pooling


@on_processor
def test_where_timing_does_not_pay_the_usual_forms_are_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(2, 3, strides=2, name="strided")(layers.Conv2D(2, 3, name="conv")(inputs))
    model = keras.Model(inputs, layers.MaxPooling2D(2, name="pool")(layers.Conv2D(2, 1)(x)))
    monkeypatch.setattr(
        "normcraft.trainers.fused.speeds._times", lambda *_, **__: pytest.fail("timed")
    )
    speeds = measure_speeds([model], [2], timed=False)
    alone, beside = ([p.usual(alone=yes) for p in places(model, 2)] for yes in (True, False))
    assert alone[0] == {"forward": "library", "inputs": "product", "kernel": "product"}
    assert alone[1] == dict.fromkeys(alone[0], "product")
    assert beside[1]["forward"] == "padded library"
    assert beside[1]["kernel"] == "turned products"
    assert beside[2] == alone[1], "of one place there is nothing to gather"
    (large,) = places(model_of(layers.Conv2D(2, 3, strides=2), (64, 64, 64)), 64)
    assert large.usual(alone=True)["kernel"] == "turned products", "patches that no cache holds"
    assert large.usual(alone=True)["inputs"] == "product", "with strides there is no other"
    (large,) = places(model_of(layers.Conv2D(2, 3), (32, 32, 64)), 64)
    both = [large.usual(alone=yes)["inputs"] for yes in (True, False)]
    assert both == ["library", "product"]
    assert all(fastest(place, speeds) for place in places(model, 2))
    assert not list(tmp_path.rglob("*.json")), "guesses are not remembered"


@on_processor
@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "\0"])
def test_a_damaged_memory_is_measured_anew(monkeypatch, tmp_path, content):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = model_of(layers.MaxPooling2D(2), (4, 4, 1))
    first = measure_speeds([model], [2])
    (file,) = (tmp_path / "normcraft" / "forms").iterdir()
    file.write_text(content.replace("x", next(iter(first))))
    assert measure_speeds([model], [2]).keys() == first.keys()


def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    model = model_of(layers.MaxPooling2D(2), (4, 4, 1))
    assert measure_speeds([model], [2])


@pytest.mark.parametrize("make", [layers.Conv1D, layers.Conv2D, layers.Conv3D])
def test_a_form_takes_the_place_of_what_the_layer_calls(make, monkeypatch):
    layer = make(2, 2)
    shape = (4,) * layer.rank + (1,)
    (place,) = places(model_of(layer, shape), 2)
    monkeypatch.setattr(
        place.convolution, "form", lambda names: lambda x, w: pytest.fail("it is called")
    )
    with (
        in_forms([(layer, place.attribute, place.form(next(choices(place))))]),
        pytest.raises(pytest.fail.Exception, match="it is called"),
    ):
        layer(np.zeros((2, *shape), "float32"))


@on_processor
def test_large_batches_of_judging_have_no_patches_that_memory_could_not_hold():
    (place,) = places(model_of(layers.Conv2D(4, 3, padding="same"), (56, 56, 64)), 32)
    assert "product" in place.names["forward"]
    judging = place.judging
    assert judging.names == {"forward": ["library", "padded library"]}
    assert judging.usual(alone=False) == {"forward": "library"}, "its input is the model's"
    speeds = {judging.key: {"forward: library": 1.0, "forward: padded library": 2.0}}
    assert fastest(judging, speeds, together=2)
