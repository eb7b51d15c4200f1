"""The laws of surgery: every placement and every kind obeys them, on every model."""

import json
from collections import Counter
from functools import cache

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from normcraft.graph import LayerGraph, is_normalization
from normcraft.kinds import kind_names, kind_of
from normcraft.placements import Placement, placement_names
from normcraft.surgery import insert_normalization, place, remove_normalization
from strategies import (
    build,
    chained,
    fused,
    group_normalized,
    nested_twice,
    normalized,
    outputs,
    pooled,
    randomise,
    raw_residual,
    recipes,
    residual,
    same,
    separate,
    shared,
    untouched,
    weights_by_path,
)
from versions import KERAS

PLACEMENTS = (*placement_names(), "input+before_activation+output", "as_given+after_pooling")
PLACEMENTS += ("before_activation+after_add",)
RICH = (normalized, residual, nested_twice, shared, raw_residual, group_normalized, pooled)


@cache
def rich() -> keras.Model:
    """A model with everything in it."""
    return randomise(build("image", RICH, "two"))


@cache
def plain() -> keras.Model:
    """A chain as beginners write it."""
    return randomise(
        chained(build("image", (fused, separate, normalized), "softmax", flatten=True))
    )


@cache
def edited(name: str, placement: str, kind: str):
    model = {"rich": rich, "plain": plain}[name]()
    with untouched(model):
        return model, place(model, placement, kind=kind)


# What Keras has itself loads without normcraft.
OF_KERAS = set(kind_names()) - {"ghost_batch"} - ({"batch_renorm"} if KERAS < (3, 14) else set())
ALL = [(placement, kind) for placement in PLACEMENTS for kind in kind_names()]
# For what is slow: every placement and every kind once.
SOME = [pair for pair in ALL if pair[1] == "batch" or pair[0] == "before_activation+after_add"]
every_edit = pytest.mark.parametrize(("placement", "kind"), ALL)
some_edits = pytest.mark.parametrize(("placement", "kind"), SOME)
every_model = pytest.mark.parametrize("name", ["rich", "plain"])


def all_layers(model):
    return [layer for layer in model._flatten_layers() if not isinstance(layer, keras.Model)]


def normalizations(model):
    return [layer for layer in all_layers(model) if is_normalization(layer)]


@every_model
@every_edit
def test_an_edit_keeps_shapes_and_dtypes_and_leaves_its_input_alone(name, placement, kind):
    model, result = edited(name, placement, kind)
    for old, new in zip(model.outputs, result.model.outputs, strict=True):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
    assert type(result.model) is type(model)
    assert result.model.name == model.name
    assert len(result.model.inputs) == len(model.inputs)


@every_model
@some_edits
def test_an_edited_model_is_plain_keras_and_survives_a_file(name, placement, kind, tmp_path):
    result = place(edited(name, placement, kind)[0], placement, kind=kind)
    randomise(result.model, 1)
    result.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    if kind in OF_KERAS:
        assert "normcraft" not in json.dumps(result.model.get_config(), default=repr)
    assert same(outputs(result.model), outputs(loaded))


@every_model
@every_edit
def test_the_weights_of_all_other_layers_are_kept_bit_for_bit(name, placement, kind):
    model, result = edited(name, placement, kind)
    before, after = weights_by_path(model), weights_by_path(result.model)
    gone = {path for path in before if path not in after}
    kept = before.keys() & after.keys()
    assert all(np.array_equal(before[path], after[path]) for path in kept)
    normal = {layer.name for layer in normalizations(model)}
    biases = [path for path in gone if path.endswith("/bias")]
    assert len(biases) == result.biases_dropped
    assert all(path in biases or path.split("/")[-2] in normal for path in gone)


@every_model
@some_edits
def test_the_same_edit_gives_the_same_configuration_with_unique_names(name, placement, kind):
    model, result = edited(name, placement, kind)
    again = place(model, placement, kind=kind)
    assert result.model.get_config() == again.model.get_config()
    assert result.document() == again.document()
    for part in all_models(result.model):
        names = Counter(operation.name for operation in part.operations)
        assert max(names.values()) == 1


def all_models(model):
    parts = [part for part in model._flatten_layers() if isinstance(part, keras.Model)]
    return [part for part in parts if hasattr(part, "operations")]


@every_model
@every_edit
def test_every_site_is_inserted_or_refused_with_a_reason(name, placement, kind):
    model, result = edited(name, placement, kind)
    parsed, graph = Placement.parse(placement), LayerGraph.read(model)
    if not parsed.keeps_existing:
        graph = graph.without([call for call in graph.calls if is_normalization(call.layer)])
    inserted, skipped = {key for key, _ in result.inserted}, dict(result.skipped)
    for site in parsed.select(graph):
        assert site.call.key in inserted or skipped[site.name]
    assert all(skipped.values())
    given = normalizations(model) if parsed.keeps_existing else []
    assert len(normalizations(result.model)) == len(given) + len(result.inserted)


@every_model
@every_edit
def test_names_of_new_layers_say_where_they_stand(name, placement, kind):
    model, result = edited(name, placement, kind)
    old = {call.layer.name for call in LayerGraph.read(model).calls}
    for layer in normalizations(result.model):
        if layer.name not in old:
            assert kind_of(layer) == kind
            assert any(layer.name.startswith(f"{one}_") for one in old)
            assert layer.name.rstrip("_0123456789").endswith(f"{kind}_normalization")


@every_model
@some_edits
def test_dropping_after_inserting_is_dropping_from_the_original(name, placement, kind):
    model = {"rich": rich, "plain": plain}[name]()
    model = without_biases(model)
    inserted = insert_normalization(model, placement, kind=kind).model
    left, right = remove_normalization(inserted), remove_normalization(model)
    assert not normalizations(left.model)
    assert same(outputs(left.model), outputs(right.model))


def without_biases(model):
    copy = place(model, "as_given").model
    for weight in copy.weights:
        if weight.path.endswith("/bias"):
            weight.assign(np.zeros(weight.shape))
    return copy


@given(recipes(), st.sampled_from(PLACEMENTS), st.sampled_from(kind_names()))
@settings(max_examples=25)
def test_the_laws_hold_on_any_graph(recipe, placement, kind):
    model = recipe.build()
    with untouched(model):
        result = place(model, placement, kind=kind)
        again = place(model, placement, kind=kind)
        given_back = remove_normalization(result.model)
    assert result.model.get_config() == again.model.get_config()
    assert [t.shape for t in result.model.outputs] == [t.shape for t in model.outputs]
    before, after = weights_by_path(model), weights_by_path(result.model)
    kept = before.keys() & after.keys()
    assert all(np.array_equal(before[path], after[path]) for path in kept)
    assert not normalizations(given_back.model)
    reloaded = type(result.model).from_config(result.model.get_config())
    reloaded.set_weights(result.model.get_weights())
    assert same(outputs(result.model), outputs(reloaded))


@given(recipes())
@settings(max_examples=15)
def test_an_empty_edit_is_the_identity(recipe):
    model = recipe.build()
    copy = place(model, "as_given")
    assert not copy.modified
    assert copy.model.get_config() == model.get_config()
    assert same(outputs(model), outputs(copy.model))


# --- compile settings ----------------------------------------------------------------------------


def strange_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1) * 3


def compiled(**settings) -> keras.Model:
    chain = [keras.Input((4,)), layers.Dense(4, "relu", name="a"), layers.Dense(2, name="b")]
    model = keras.Sequential(chain)
    model.compile(**{"loss": "mse", "jit_compile": False, **settings})
    return model


@pytest.mark.skipif(keras.backend.backend() == "numpy", reason="NumPy trains nothing")
def test_compile_settings_are_kept_and_nothing_is_shared():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)
    model = compiled(
        optimizer=keras.optimizers.SGD(schedule, momentum=0.7, clipnorm=2.0),
        loss=strange_loss,
        metrics=["mae", strange_loss, keras.metrics.MeanMetricWrapper(strange_loss, "wrapped")],
        weighted_metrics=[keras.metrics.MeanSquaredError(name="weighted")],
        loss_weights=[2.0],
        steps_per_execution=1 if keras.backend.backend() == "torch" else 3,
        run_eagerly=False,
    )
    x, y = np.ones((96, 4), "float32"), np.zeros((96, 2), "float32")
    model.fit(x, y, verbose=0)
    with untouched(model):
        copy = place(model, "as_given").model
        assert copy.optimizer.get_config() == model.optimizer.get_config()
        assert type(copy.optimizer) is type(model.optimizer)
        assert int(copy.optimizer.iterations) == int(model.optimizer.iterations) > 0
        assert copy.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
        assert copy.get_metrics_result().keys() == model.get_metrics_result().keys()
        for setting in ("steps_per_execution", "run_eagerly", "jit_compile"):
            assert getattr(copy, setting) == getattr(model, setting)
        assert copy.loss is strange_loss
        copy.fit(x, y, verbose=0)
    assert not {id(m) for m in model.metrics} & {id(m) for m in copy.metrics}


def test_a_changed_learning_rate_is_kept():
    model = compiled(optimizer="adam")
    model.optimizer.learning_rate = 0.25
    assert float(place(model, "input").model.optimizer.learning_rate) == 0.25


def test_an_uncompiled_model_stays_uncompiled():
    assert not place(plain(), "input").model.compiled


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, peak):
        super().__init__()
        self.peak = peak

    def __call__(self, step):
        return self.peak * keras.ops.minimum(1.0, keras.ops.cast(step, "float32") / 10)

    def get_config(self):
        return {"peak": self.peak}


class Halved(keras.metrics.MeanSquaredError):
    def result(self):
        return super().result() / 2


def test_schedules_and_metrics_of_ones_own_need_no_registration():
    model = compiled(optimizer=keras.optimizers.Adam(WarmUp(0.5)), metrics=[Halved()])
    copy = place(model, "before_activation").model
    assert copy.optimizer.get_config()["learning_rate"]["config"] == {"peak": 0.5}
    x, y = np.ones((8, 4), "float32"), np.zeros((8, 2), "float32")
    loss, halved = copy.evaluate(x, y, verbose=0)
    assert halved == pytest.approx(loss / 2)


def test_loss_scaling_is_kept_whatever_the_policy_of_the_moment():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        scaled, unscaled = compiled(), compiled(auto_scale_loss=False)
    finally:
        keras.config.set_dtype_policy("float32")
    kinds = [type(place(m, "input").model.optimizer) for m in (scaled, unscaled)]
    assert kinds == [keras.optimizers.LossScaleOptimizer, type(unscaled.optimizer)]


# --- flags and policies --------------------------------------------------------------------------


def test_trainable_flags_are_kept():
    model = randomise(build("vector", (fused, nested_twice, normalized), "linear"))
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    inner.trainable = False
    inner.layers[-1].trainable = True
    model.layers[1].trainable = False
    for placement in ("as_given", "before_activation"):
        copy = place(model, placement).model
        flags = {layer.name: layer.trainable for layer in all_layers(model)}
        for layer in all_layers(copy):
            assert layer.trainable == flags.get(layer.name, layer.trainable)
        assert not copy.get_layer(inner.name).trainable


def test_normalization_inserted_into_a_frozen_model_is_frozen():
    model = build("vector", (nested_twice,), "linear")
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    inner.trainable = False
    copy = place(model, "before_activation").model.get_layer(inner.name)
    assert [layer.trainable for layer in normalizations(copy)] == [False, False]


def test_flags_inside_a_layer_are_kept():
    chain = [keras.Input((5, 4)), layers.Bidirectional(layers.LSTM(3), name="both")]
    model = keras.Sequential(chain)
    model.layers[0].forward_layer.trainable = False
    copy = place(model, "input").model.get_layer("both")
    assert (copy.forward_layer.trainable, copy.backward_layer.trainable) == (False, True)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("kind", kind_names())
def test_inserted_layers_inherit_the_policy_of_their_neighbours(policy, kind):
    if policy == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless asked")
    keras.config.set_dtype_policy(policy)
    try:
        model = build("image", (fused, raw_residual), "separate")
    finally:
        keras.config.set_dtype_policy("float32")
    loaded = keras.Model.from_config(model.get_config())
    placement = "input+after_activation+before_activation+after_pooling+output"
    for each in (model, loaded):
        copy = place(each, placement, kind=kind, activation="tanh").model
        policies = {layer.dtype_policy.name for layer in copy.layers[1:]}
        assert policies == {policy}
        assert [t.dtype for t in copy.outputs] == [t.dtype for t in model.outputs]


def test_a_final_float32_activation_of_a_mixed_model_stays():
    chain = [
        keras.Input((4,)),
        layers.Dense(4, "relu", dtype="mixed_float16"),
        layers.Dense(2, dtype="mixed_float16"),
        layers.Activation("softmax", dtype="float32"),
    ]
    copy = place(keras.Sequential(chain), "before_activation+output").model
    assert copy.outputs[0].dtype == "float32"
    policies = [layer.dtype_policy.name for layer in copy.layers]
    assert policies == ["mixed_float16"] * 5 + ["float32"]


# --- what stays and what goes --------------------------------------------------------------------


def test_adapted_preprocessing_stays_and_keeps_what_it_learned():
    adapted = layers.Normalization()
    adapted.adapt(np.random.default_rng(0).normal(30, 5, (50, 4)))
    chain = [keras.Input((4,)), adapted, layers.Dense(3, "relu"), layers.BatchNormalization()]
    model = randomised_but(keras.Sequential([*chain, layers.UnitNormalization()]), adapted)
    copy = place(model, "as_given").model
    assert same(outputs(model), outputs(copy))
    bare = remove_normalization(model)
    kept = [type(layer).__name__ for layer in bare.model.layers]
    assert kept == ["Normalization", "Dense", "UnitNormalization"]
    assert bare.removed == (chain[-1].name,)
    expected = np.array(keras.ops.convert_to_numpy(adapted.mean))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(bare.model.layers[0].mean), expected)


def randomised_but(model, layer):
    values = layer.get_weights()
    randomise(model)
    layer.set_weights(values)
    layer.finalize_state()
    return model


def test_spectral_normalization_stays():
    model = keras.Sequential([keras.Input((4,)), layers.SpectralNormalization(layers.Dense(3))])
    assert not remove_normalization(model).removed


def test_a_model_of_nothing_but_normalization_can_be_stripped(tmp_path):
    chain = keras.Sequential([keras.Input((4,)), layers.BatchNormalization()])
    entry = keras.Input((4,))
    for model in (chain, keras.Model(entry, layers.BatchNormalization()(entry))):
        bare = remove_normalization(model).model
        bare.save(tmp_path / "bare.keras")
        loaded = keras.saving.load_model(tmp_path / "bare.keras")
        x = [np.ones((2, 4), "float32")]
        assert same(outputs(bare, x), x)
        assert same(outputs(loaded, x), x)


def test_a_lost_shift_comes_back_as_a_zero_bias():
    model = randomise(build("image", (normalized,), "linear"))
    bare = remove_normalization(model)
    assert (bare.biases_restored, bare.biases_dropped) == (1, 0)
    bias = next(layer for layer in bare.model.layers if isinstance(layer, layers.Conv2D)).bias
    assert not np.any(keras.ops.convert_to_numpy(bias))
    moved = place(model, "before_activation")
    assert (moved.biases_restored, moved.biases_dropped) == (0, 0)
