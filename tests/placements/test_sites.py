"""Which sites each placement selects: lists written by hand."""

import keras
import pytest
from keras import layers, ops

from normcraft._core.errors import InputError
from normcraft.graph import LayerGraph, is_normalization
from normcraft.placements import Placement
from normcraft.surgery import place

CONV = {"padding": "same"}


def selected(model, placement):
    """`site` for behind a call, `site|` for between its linear part and its activation."""
    graph = LayerGraph.read(model)
    graph = graph.without([call for call in graph.calls if is_normalization(call.layer)])
    sites = Placement.parse(placement).select(graph)
    return [site.name + "|" * site.inside for site in sites if not site.refused]


def refused(model, placement):
    sites = Placement.parse(placement).select(LayerGraph.read(model))
    return {site.name: site.refused for site in sites if site.refused}


def blog_cnn():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(32, 3, activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(64, 3, activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Conv2D(64, 3, activation="relu", name="conv3"),
            layers.Flatten(name="flat"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(10, activation="softmax", name="head"),
        ]
    )


def residual_block():
    entry = keras.Input((8, 8, 4), name="entry")
    x = layers.Conv2D(4, 3, name="conv1", **CONV)(entry)
    x = layers.ReLU(name="relu1")(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, name="conv2", **CONV)(x))
    shortcut = layers.Conv2D(4, 1, name="shortcut")(entry)
    x = layers.ReLU(name="relu2")(layers.Add(name="add")([x, shortcut]))
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(entry, layers.Dense(3, name="head")(x))


def pre_activation_block():
    entry = keras.Input((8, 8, 4), name="entry")
    x = layers.Conv2D(4, 3, name="stem", **CONV)(entry)
    y = layers.ReLU(name="relu1")(layers.BatchNormalization()(x))
    y = layers.Conv2D(4, 3, name="conv1", **CONV)(y)
    y = layers.ReLU(name="relu2")(layers.BatchNormalization()(y))
    y = layers.Dropout(0.1, name="drop")(layers.Conv2D(4, 3, name="conv2", **CONV)(y))
    x = layers.Add(name="add")([x, y])
    x = layers.GlobalAveragePooling2D(name="gap")(layers.ReLU(name="last")(x))
    return keras.Model(entry, layers.Dense(3, activation="softmax", name="head")(x))


def shared_thrice():
    entry = keras.Input((4,), name="entry")
    layer = layers.Dense(4, activation="relu", name="d")
    return keras.Model(entry, layers.Dense(2, name="head")(layer(layer(layer(entry)))))


def encoder_twice():
    inner = keras.Input((4,))
    x = layers.Activation("tanh", name="act")(layers.Dense(4, name="d")(inner))
    encoder = keras.Model(inner, x, name="encoder")
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    difference = layers.Subtract(name="minus")([encoder(left), encoder(right)])
    return keras.Model([left, right], layers.Dense(1, "sigmoid", name="head")(difference))


def multi_output():
    entry = keras.Input((4,), name="entry")
    trunk = layers.Dense(4, activation="relu", name="trunk")(entry)
    value = layers.Dense(1, name="value")(trunk)
    policy = layers.Softmax(name="policy")(layers.Dense(3, name="logits")(trunk))
    return keras.Model(entry, [value, policy])


def linear_logits():
    chain = [keras.Input((4,), name="entry"), layers.Dense(4, "relu", name="a")]
    return keras.Sequential([*chain, layers.Dense(3, name="logits")])


def separate_softmax():
    chain = [keras.Input((4,), name="entry"), layers.Dense(4, "relu", name="a")]
    return keras.Sequential([*chain, layers.Dense(3, name="b"), layers.Softmax(name="soft")])


def pooled_then_activated():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), name="entry"),
            layers.Conv2D(4, 3, name="conv"),
            layers.MaxPooling2D(name="pool"),
            layers.Dropout(0.1, name="drop"),
            layers.ReLU(name="relu"),
            layers.Flatten(name="flat"),
            layers.Dense(2, name="head"),
        ]
    )


CASES = [
    (blog_cnn, "before_activation", ["conv1|", "conv2|", "conv3|", "dense|"]),
    (blog_cnn, "after_activation", ["conv1", "conv2", "conv3", "dense"]),
    (blog_cnn, "after_pooling", ["pool1", "pool2"]),
    (blog_cnn, "input", ["image"]),
    (blog_cnn, "output", ["head|"]),
    (blog_cnn, "after_output", ["head"]),
    (blog_cnn, "before_add", []),
    (blog_cnn, "after_add", []),
    (blog_cnn, "none", []),
    (blog_cnn, "as_given", []),
    (blog_cnn, "output+before_activation", ["conv1|", "conv2|", "conv3|", "dense|", "head|"]),
    (residual_block, "before_activation", ["conv1", "shortcut", "conv2"]),
    (residual_block, "after_activation", ["shortcut", "relu1", "conv2"]),
    (residual_block, "before_add", ["shortcut", "conv2"]),
    (residual_block, "after_add", ["add"]),
    (residual_block, "after_pooling", ["gap"]),
    (residual_block, "output", ["head"]),
    (pre_activation_block, "before_activation", ["stem", "conv1", "conv2"]),
    (pre_activation_block, "after_activation", ["relu1", "relu2", "conv2"]),
    (pre_activation_block, "before_add", ["conv2"]),
    (pre_activation_block, "after_add", ["add"]),
    (shared_thrice, "before_activation", ["d|", "d@2|", "d@3|"]),
    (shared_thrice, "after_activation", ["d", "d@2", "d@3"]),
    (encoder_twice, "before_activation", ["encoder/d", "encoder@2/d"]),
    (encoder_twice, "after_activation", ["encoder/act", "encoder@2/act"]),
    (encoder_twice, "input", ["left", "right"]),
    (encoder_twice, "output", ["head|"]),
    (multi_output, "before_activation", ["trunk|"]),
    (multi_output, "output", ["value", "logits"]),
    (multi_output, "after_output", ["value", "policy"]),
    (linear_logits, "before_activation", ["a|"]),
    (linear_logits, "output", ["logits"]),
    (linear_logits, "after_output", ["logits"]),
    (separate_softmax, "after_activation", ["a"]),
    (separate_softmax, "output", ["b"]),
    (separate_softmax, "after_output", ["soft"]),
    (pooled_then_activated, "before_activation", ["conv"]),
    (pooled_then_activated, "after_activation", ["relu"]),
    (pooled_then_activated, "after_pooling", ["pool"]),
]


@pytest.mark.parametrize(("make", "placement", "expected"), CASES)
def test_a_placement_selects_its_sites(make, placement, expected):
    assert sorted(selected(make(), placement)) == sorted(expected)


def test_refusals_say_how_to_have_it_all_the_same():
    hint = "name `output` or `after_output`"
    for placement in ("before_activation", "after_activation"):
        reasons = refused(multi_output(), placement)
        assert reasons.keys() == {"value", "logits"}
        assert all(hint in reason for reason in reasons.values())


def test_pooling_and_addition_of_the_output_are_refused():
    entry = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 3, name="conv")(entry)
    x = layers.Add(name="add")([x, layers.ReLU()(x)])
    model = keras.Model(entry, layers.GlobalAveragePooling2D(name="gap")(x))
    assert refused(model, "after_pooling").keys() == {"gap"}
    assert refused(model, "after_add").keys() == {"add"}
    assert refused(model, "before_activation").keys() == {"conv"}


def test_an_activation_on_the_input_alone_has_no_logits():
    entry = keras.Input((4,), name="entry")
    model = keras.Model(entry, layers.Softmax()(entry))
    assert "no layer between" in refused(model, "output")["entry"]


def test_the_final_activation_is_found_behind_a_reshaping_and_a_cast():
    chain = [keras.Input((4,)), layers.Dense(6, "softmax", name="head"), layers.Reshape((2, 3))]
    model = keras.Sequential([*chain, layers.Activation("linear", dtype="float32")])
    assert selected(model, "output") == ["head|"]


def test_pooled_logits_are_normalized_where_they_are_logits():
    chain = [keras.Input((8, 8, 3)), layers.Conv2D(3, 3, activation="relu", name="conv")]
    model = keras.Sequential([*chain, layers.GlobalAveragePooling2D(name="gap")])
    assert selected(model, "output") == ["gap"]


def test_a_raw_relu_and_plus_count_like_layers():
    entry = keras.Input((4,))
    x = layers.Dense(4, name="a")(entry)
    y = ops.relu(
        x,
    )
    total = y + layers.Dense(4, name="b")(y)
    model = keras.Model(entry, layers.Dense(2, name="c")(total))
    names = [call.site for call in LayerGraph.read(model).calls]
    relu, add = (next(n for n in names if n.startswith(start)) for start in ("relu", "add"))
    assert selected(model, "after_activation") == [relu, "b"]
    assert selected(model, "after_add") == [add]
    assert selected(model, "before_add") == ["b"]


def test_identity_shortcuts_and_broadcast_sums_are_no_branches():
    entry = keras.Input((4,))
    x = layers.Dense(4, name="a")(entry)
    y = layers.Add(name="residual")([x, layers.Dense(4, name="b")(x)])
    y = layers.Add(name="broadcast")([y, layers.Dense(1, name="c")(y)])
    model = keras.Model(entry, layers.Dense(2)(y))
    assert selected(model, "before_add") == ["b"]
    assert selected(model, "after_add") == ["residual"]


def test_channels_first_is_normalized_along_axis_1():
    first = {"data_format": "channels_first"}
    chain = [keras.Input((3, 8, 8)), layers.Conv2D(4, 3, activation="relu", name="conv", **first)]
    chain += [layers.MaxPooling2D(name="pool", **first), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential(chain)
    kinds = ("batch", "group", "instance", "layer")  # Keras's rms knows the last axis alone,
    for kind in kinds[: 3 if keras.backend.backend() == "torch" else 4]:  # and there its layer too
        copy = place(model, "input+before_activation+after_pooling", kind=kind).model
        axes = [layer.axis for layer in copy.layers if is_normalization(layer)]
        assert [axis[0] if isinstance(axis, list) else axis for axis in axes] == [1, 1, 1]
        assert copy.output_shape == model.output_shape


def test_the_blog_network_has_the_parameters_that_the_seed_counts():
    model = blog_cnn()
    result = place(model, "before_activation+output")
    assert model.count_params() == 93_322
    assert result.model.count_params() == 94_024
    assert result.biases_dropped == 5
    assert [site for site, _ in result.inserted] == ["conv1", "conv2", "conv3", "dense", "head"]


def test_one_normalization_serves_every_use_of_a_nested_model():
    result = place(encoder_twice(), "before_activation")
    assert result.inserted == (("encoder/d", "batch"),)
    inner = result.model.get_layer("encoder")
    names = [layer.name for layer in inner.layers[1:]]
    assert names == ["d", "d_batch_normalization", "act"]


def test_a_nested_model_used_as_trunk_and_as_output_is_refused():
    inner = keras.Input((4,))
    encoder = keras.Model(inner, layers.Dense(4, name="d")(inner), name="encoder")
    entry = keras.Input((4,))
    result = place(keras.Model(entry, encoder(encoder(entry))), "before_activation")
    assert not result.inserted
    reasons = dict(result.skipped)
    assert "used several times" in reasons["encoder/d"]
    assert "output layer" in reasons["encoder@2/d"]


def test_each_call_of_a_shared_layer_has_its_own_normalization():
    result = place(shared_thrice(), "before_activation")
    assert [layer.name for layer in result.model.layers if is_normalization(layer)] == [
        *("d_batch_normalization", "d_2_batch_normalization", "d_3_batch_normalization")
    ]
    assert result.biases_dropped == 1


# --- expressions ---------------------------------------------------------------------------------


def test_expressions_are_read_in_any_spacing_and_once():
    assert Placement.parse(" input + output+input").names == ("input", "output")
    assert str(Placement.parse("input+output")) == "input+output"
    assert Placement.parse(Placement(("none",))).names == ("none",)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "empty placement"),
        ("befor_activation", "did you mean 'before_activation'"),
        ("input++output", "unknown placement"),
        ("input+nowhere", "expected one of after_activation"),
    ],
)
def test_unknown_placements_are_refused_with_the_names_there_are(expression, message):
    with pytest.raises(InputError, match=message):
        Placement.parse(expression)
