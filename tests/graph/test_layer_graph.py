import keras
import pytest
from hypothesis import given, settings
from keras import layers, ops

from normcraft._core.errors import SurgeryError
from normcraft.graph import (
    LayerGraph,
    activation_name,
    float_policy,
    has_fused_activation,
    is_activation,
    is_addition,
    is_linear,
    is_multiplication,
    is_normalization,
    is_pooling,
    keeps_channels,
)
from strategies import recipes, untouched


def sites(model):
    return [call.site for call in LayerGraph.read(model).calls if not call.is_input]


def call_named(graph, site):
    return next(call for call in graph.calls if call.site == site)


@given(recipes())
@settings(max_examples=10)
def test_reading_changes_nothing_and_names_every_call_once(recipe):
    model = recipe.build()
    with untouched(model):
        graph = LayerGraph.read(model)
    names = [call.site for call in graph.calls]
    assert len(set(names)) == len(names)
    produced = set()
    for call in graph.calls:
        assert set(call.inputs) <= produced
        produced |= set(call.outputs)
    assert set(graph.outputs) <= produced


def test_a_shared_layer_has_a_site_for_each_call():
    entry = keras.Input((4,))
    layer = layers.Dense(4, name="d")
    model = keras.Model(entry, layer(layer(layer(entry))))
    assert sites(model) == ["d", "d@2", "d@3"]


def test_calls_outside_the_model_are_not_its_sites():
    entry, other = keras.Input((4,)), keras.Input((4,))
    layer = layers.Dense(4, name="d")
    layer(other)
    assert sites(keras.Model(entry, layer(entry))) == ["d"]


def nested_model():
    inner = keras.Input((4,))
    encoder = keras.Model(inner, layers.Dense(4, "relu", name="d")(inner), name="encoder")
    entry = keras.Input((4,))
    return keras.Model(entry, layers.Dense(2, name="head")(encoder(encoder(entry))))


def test_a_nested_model_has_a_site_a_use_and_one_key():
    graph = LayerGraph.read(nested_model())
    assert [call.site for call in graph.calls[1:]] == ["encoder/d", "encoder@2/d", "head"]
    assert [call.key for call in graph.calls[1:]] == ["encoder/d", "encoder/d", "head"]


def test_values_flow_through_nested_models():
    graph = LayerGraph.read(nested_model())
    first, second, head = graph.calls[1:]
    assert second.inputs == first.outputs
    assert graph.consumers(second) == [head]
    assert graph.producer(head.inputs[0]) is second


def test_an_input_layer_may_serve_a_model_and_the_one_it_stands_in():
    entry = keras.Input((4,), name="entry")
    encoder = keras.Model(entry, layers.Dense(3, name="d")(entry), name="encoder")
    model = keras.Model(entry, layers.Dense(2, name="head")(encoder(entry)))
    assert sites(model) == ["encoder/d", "head"]


@pytest.mark.parametrize("as_keywords", [False, True])
def test_dictionary_inputs_of_nested_models_find_their_names(as_keywords):
    b, a = keras.Input((3,), name="b"), keras.Input((5,), name="a")
    joined = layers.Concatenate()(
        [layers.Dense(2, name="on_b")(b), layers.Dense(4, name="on_a")(a)]
    )
    struct = {"b": b, "a": a} if as_keywords else [b, a]
    inner = keras.Model(struct, joined, name="inner")
    p, q = keras.Input((3,)), keras.Input((5,))
    model = keras.Model([p, q], inner({"a": q, "b": p}))
    graph = LayerGraph.read(model)
    assert call_named(graph, "inner/on_b").inputs[0].shape == (None, 3)
    assert call_named(graph, "inner/on_a").inputs[0].shape == (None, 5)


def test_a_nested_model_that_takes_a_mask_is_opened():
    encoder = keras.Sequential([keras.Input((5, 4)), layers.Dense(3, name="d")], name="encoder")
    entry = keras.Input((5,), dtype="int32")
    tokens = layers.Embedding(7, 4, mask_zero=True, name="tokens")(entry)
    with pytest.warns(UserWarning, match="does not support masking"):
        model = keras.Model(entry, layers.GlobalAveragePooling1D(name="pool")(encoder(tokens)))
    assert [site for site in sites(model) if "not_equal" not in site] == [
        *("tokens", "encoder/d", "pool")
    ]


class Own(keras.Model):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def test_a_subclassed_model_inside_is_opened():
    entry = keras.Input((4,))
    model = keras.Model(entry, Own(name="own")(entry))
    assert [site.split("/")[0] for site in sites(model)] == ["own"]
    assert is_linear(LayerGraph.read(model).calls[-1].layer)


class Scaled(keras.Model):
    def __init__(self):
        super().__init__(name="scaled")
        self.dense = layers.Dense(2, name="d")

    def call(self, x, factor=1.0):
        return self.dense(x) * factor


def test_a_subclassed_model_that_is_given_more_than_its_input_is_one_call():
    entry = keras.Input((4,))
    model = keras.Model(entry, Scaled()(entry, factor=3.0))
    assert sites(model) == ["scaled"]


def test_raw_operations_are_calls():
    entry = keras.Input((4,))
    x = layers.Dense(4, name="d")(entry)
    calls = LayerGraph.read(keras.Model(entry, ops.relu(x) + x)).calls
    assert [activation_name(call.layer) for call in calls] == [None, None, "relu", None]
    assert is_addition(calls[-1].layer)


class OverridesCall(keras.Model):
    def call(self, x, training=None):
        return super().call(x) * 2


def functional_subclass_with_a_call_of_its_own():
    entry = keras.Input((4,))
    return OverridesCall(entry, layers.Dense(2)(entry))


def test_a_functional_subclass_is_read_as_its_own_call_computes():
    calls = LayerGraph.read(functional_subclass_with_a_call_of_its_own()).calls
    assert is_multiplication(calls[-1].layer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: keras.Sequential([layers.Dense(2)], name="m"), "'m' has no graph yet"),
        (Own, r"subclassed model \(Own\): it was never called"),
    ],
)
def test_a_model_without_a_graph_is_refused(make, message):
    with pytest.raises(SurgeryError, match=message):
        LayerGraph.read(make())


def test_without_joins_what_was_around():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="d"), layers.BatchNormalization(name="n")]
    )
    graph = LayerGraph.read(model)
    bare = graph.without([call_named(graph, "n")])
    assert bare.outputs == call_named(graph, "d").outputs
    assert bare.is_output(call_named(bare, "d"))
    assert not graph.is_output(call_named(graph, "d"))


# --- hidden or output ----------------------------------------------------------------------------


def hidden(model):
    graph = LayerGraph.read(model)
    return [call.site for call in graph.calls if is_linear(call.layer) and graph.is_hidden(call)]


def test_layers_whose_result_is_handed_out_are_no_hidden_layers():
    entry = keras.Input((4,))
    a = layers.Dense(4, name="a")(entry)
    b = layers.Dense(4, name="b")(a)
    tapped = layers.ReLU()(b)
    c = layers.Dense(4, name="c")(tapped)
    pooled = layers.Reshape((2, 2))(layers.Activation("tanh")(c))
    model = keras.Model(entry, [tapped, pooled, layers.Dense(2, name="d")(c)])
    assert hidden(model) == ["a"]


def test_an_output_behind_weights_of_an_activation_is_an_output():
    chain = [keras.Input((4,)), layers.Dense(4, name="a"), layers.Dense(3, name="b")]
    assert hidden(keras.Sequential([*chain, layers.PReLU(), layers.BatchNormalization()])) == ["a"]


# --- axes and policies ---------------------------------------------------------------------------


def axes(model):
    graph = LayerGraph.read(model)
    return {call.site: graph.channel_axis(call) for call in graph.calls}


def test_channels_first_is_followed_until_the_rank_changes():
    first = {"data_format": "channels_first"}
    chain = [
        keras.Input((3, 8, 8), name="entry"),
        layers.Conv2D(4, 3, name="conv", **first),
        layers.ReLU(name="relu"),
        layers.MaxPooling2D(name="pool", **first),
        layers.Dropout(0.1, name="drop"),
        layers.Flatten(name="flat", **first),
        layers.Dense(2, name="head"),
    ]
    found = axes(keras.Sequential(chain))
    assert found == {
        **dict.fromkeys(["entry", "conv", "relu", "pool", "drop"], 1),
        **dict.fromkeys(["flat", "head"], -1),
    }


def test_a_dense_layer_has_its_channels_last():
    first = {"data_format": "channels_first"}
    entry = keras.Input((3, 8, 8), name="entry")
    x = layers.Dense(4, name="dense")(layers.Conv2D(4, 3, name="conv", **first)(entry))
    assert axes(keras.Model(entry, x)) == {"entry": 1, "conv": 1, "dense": -1}


def test_policies_come_from_the_nearest_layer():
    entry = keras.Input((4,), name="entry")
    x = layers.Dense(4, name="d", dtype="mixed_bfloat16")(entry)
    x = layers.Dense(2, name="e", dtype="float16")(ops.relu(x))
    graph = LayerGraph.read(keras.Model(entry, x))
    assert [graph.dtype_policy(call) for call in graph.calls] == [
        *("mixed_bfloat16", "mixed_bfloat16", "mixed_bfloat16", "float16")
    ]
    plain = keras.Model(entry, ops.relu(entry))
    assert LayerGraph.read(plain).dtype_policy(LayerGraph.read(plain).calls[0]) is None


def test_integer_layers_give_no_policy():
    assert float_policy(layers.Dense(2, dtype="int8_from_float32")) == "float32"
    assert float_policy(layers.Identity(dtype="int32")) is None
    assert float_policy(ops.relu(keras.Input((2,)))._keras_history.operation) is None


# --- families ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (layers.Dense(2, activation="relu"), "relu"),
        (layers.Dense(2), None),
        (layers.Dense(2, activation=layers.LeakyReLU()), "LeakyReLU"),
        (layers.Activation("linear"), None),
        (layers.Activation("gelu"), "gelu"),
        (layers.ReLU(), "relu"),
        (layers.LeakyReLU(), "leaky_relu"),
        (layers.PReLU(), "prelu"),
        (layers.Softmax(), "softmax"),
        (layers.ELU(), "elu"),
        (layers.Dropout(0.1), None),
        (layers.LSTM(2), None),
    ],
)
def test_activations_have_keras_names(layer, name):
    assert activation_name(layer) == name
    assert is_activation(layer) == (name is not None and not is_linear(layer))
    assert has_fused_activation(layer) == (name is not None and is_linear(layer))


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        *((ops.relu, "relu"), (ops.leaky_relu, "leaky_relu"), (ops.hard_silu, "hard_silu")),
        *((ops.tanh, "tanh"), (ops.log_softmax, "log_softmax"), (ops.exp, None), (ops.abs, None)),
        *((ops.relu6, "relu6"), (ops.sigmoid, "sigmoid"), (ops.silu, "silu")),
    ],
)
def test_raw_activations_have_keras_names(operation, name):
    assert activation_name(operation(keras.Input((2,)))._keras_history.operation) == name


def test_families():
    assert all(is_linear(layer) for layer in (layers.Conv1D(1, 1), layers.DepthwiseConv2D(1)))
    assert is_normalization(layers.RMSNormalization())
    assert not is_normalization(layers.Normalization())
    assert not is_normalization(layers.SpectralNormalization(layers.Dense(2)))
    assert is_pooling(layers.GlobalMaxPooling2D())
    assert keeps_channels(layers.Activation("linear"))
    assert not keeps_channels(layers.ReLU())
    assert is_multiplication(layers.Multiply())
    assert not is_multiplication(layers.Add())
    assert is_addition(layers.Add())
    assert not is_addition(layers.Concatenate())
