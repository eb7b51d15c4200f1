import copy

import keras
import pytest
from keras import layers, ops

from normcraft._core.keras_private import (
    call_arguments,
    compile_arguments,
    copy_operation,
    counted_names,
    decay_exclusions,
    exclude_from_decay,
    graph_inputs,
    graph_nodes,
    graph_outputs,
    has_functional_constructor,
    input_operation,
    learning_rate_source,
    metric_direction,
    nested_call,
    output_structure,
    pack_outputs,
    sublayers,
    traced_function,
    trusted_code,
    variables_within,
)


def diamond():
    entry = keras.Input((4,), name="entry")
    left, right = layers.Dense(3, name="left")(entry), layers.Dense(3, name="right")(entry)
    return keras.Model({"entry": entry}, {"out": left + right, "left": left})


def test_nodes_come_after_what_they_depend_on():
    function = traced_function(diamond())
    seen = set()
    for node in graph_nodes(function):
        assert all(id(tensor) in seen for tensor in node.input_tensors)
        seen |= {id(tensor) for tensor in node.outputs}
    assert {id(tensor) for tensor in graph_outputs(function)} <= seen
    assert [input_operation(t).name for t in graph_inputs(function)] == ["entry"]


def test_structures_are_packed_as_the_model_has_them():
    model = diamond()
    function = traced_function(model)
    assert pack_outputs(model, [1, 2]) == {"left": 1, "out": 2}
    packed = output_structure(function, ["x"], ["y", "z"])
    assert packed == ({"entry": "x"}, {"left": "y", "out": "z"})


def test_a_sequential_has_a_graph_once_it_is_built():
    model = keras.Sequential([layers.Dense(2)])
    assert traced_function(model) is None
    model.build((None, 3))
    assert len(graph_inputs(traced_function(model))) == 1


def test_arguments_of_a_call_are_replaced_and_settings_kept():
    entry = keras.Input((4,))
    model = keras.Model(entry, layers.BatchNormalization()(entry, training=False))
    node = list(graph_nodes(traced_function(model)))[-1]
    args, kwargs = call_arguments(node, {id(node.input_tensors[0]): "new"})
    assert (args, kwargs["training"]) == (("new",), False)


def test_a_copied_operation_leaves_no_trace_on_its_original():
    entry = keras.Input((4,))
    original = ops.relu(entry)._keras_history.operation
    twin = copy_operation(original)
    result = twin(entry)
    assert (len(original._inbound_nodes), result._keras_history.operation) == (1, twin)
    assert (twin.name, type(twin)) == (original.name, type(original))


def nested_node(model):
    return next(n for n in graph_nodes(traced_function(model)) if n.operation.name == "inner")


def test_the_tensors_of_a_nested_call_come_in_the_order_of_its_inputs():
    b, a = keras.Input((3,), name="b"), keras.Input((5,), name="a")
    inner = keras.Model([b, a], layers.Concatenate()([b, a]), name="inner")
    p, q = keras.Input((3,)), keras.Input((5,))
    for entering in ([p, q], {"a": q, "b": p}):
        function, tensors = nested_call(nested_node(keras.Model([p, q], inner(entering))))
        assert function is inner
        assert [t.shape for t in tensors] == [(None, 3), (None, 5)]


def test_a_layer_is_no_nested_call():
    entry = keras.Input((3,))
    model = keras.Model(entry, layers.Dense(2, name="inner")(entry))
    assert nested_call(nested_node(model)) is None


def test_sublayers_begin_with_the_layer_itself():
    both = layers.Bidirectional(layers.LSTM(2))
    both.build((None, 5, 3))
    assert sublayers(both)[0] is both
    assert {type(layer).__name__ for layer in sublayers(both)} >= {"LSTM", "LSTMCell"}


def test_names_are_made_up_alike_and_past_those_taken():
    def names(*taken):
        with counted_names(taken):
            return [layers.Dense(2).name for _ in range(2)]

    assert names() == names() == ["dense", "dense_1"]
    assert names("dense") == ["dense_1", "dense_2"]
    assert names("dense_4", "x", "dense_2") == ["dense_5", "dense_6"]
    assert names("conv_batch_2_1", "_", "dense_") == ["dense", "dense_1"]


def test_counting_names_leaves_the_count_of_the_process_alone():
    before = layers.Dense(2).name
    with counted_names(["dense_900"]):
        layers.Dense(2)
    number = int(before.rpartition("_")[2]) if "_" in before else 0
    assert layers.Dense(2).name == f"dense_{number + 1}"


class WithConstructor(keras.Model):
    def __init__(self, units):
        entry = keras.Input((3,))
        super().__init__(entry, layers.Dense(units)(entry))


class KeepsConstructor(keras.Model):
    pass


def test_constructors_are_told_apart():
    entry = keras.Input((3,))
    assert has_functional_constructor(KeepsConstructor(entry, layers.Dense(2)(entry)))
    assert has_functional_constructor(keras.Model(entry, layers.Dense(2)(entry)))
    assert not has_functional_constructor(WithConstructor(2))


def test_compile_arguments_are_objects():
    def loss(y_true, y_pred):
        return ops.mean(y_true - y_pred)

    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    assert compile_arguments(model) == {}
    model.compile("sgd", loss)
    assert compile_arguments(model)["loss"] is loss


def test_learning_rates_are_held_as_variables_or_schedules():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    assert learning_rate_source(keras.optimizers.SGD(schedule)) is schedule
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5))
    assert float(learning_rate_source(scaled)) == 0.5


def test_metrics_say_their_direction():
    assert metric_direction(keras.metrics.MeanSquaredError()) == "down"
    assert metric_direction(keras.metrics.BinaryAccuracy()) == "up"
    assert metric_direction(keras.metrics.Sum()) is None


def test_code_is_trusted_within_and_not_after():
    config = keras.saving.serialize_keras_object(layers.Lambda(lambda x: x + 1))
    with trusted_code():
        keras.saving.deserialize_keras_object(copy.deepcopy(config))
    with pytest.raises(ValueError, match="unsafe"):
        keras.saving.deserialize_keras_object(config)


def test_variables_are_counted_and_refused_before_they_take_memory():
    with variables_within(10**6) as taken:
        layers.Dense(3).build((None, 4))
        assert taken[-1] == 4 * (4 * 3 + 3)
        with pytest.raises(MemoryError, match="more than is allowed"):
            layers.Dense(10**12).build((None, 10**6))
        assert taken[-1] > 10**18
    assert keras.Variable(0.0).shape == ()


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 4), ("bfloat16", 2), ("int8", 1), ("bool", 1)]
)
def test_variables_are_counted_in_bytes(dtype, size):
    with variables_within(10**6) as taken:
        keras.Variable("zeros", shape=(5, 2), dtype=dtype, trainable=False)
    assert taken == [0, 10 * size]


def test_what_is_excluded_from_weight_decay_is_told_and_taken_over():
    def model():
        inputs = keras.Input((4, 2))
        x = layers.LSTM(2, name="first", return_sequences=True)(inputs)
        inner = keras.Sequential([keras.Input((4, 2)), layers.LSTM(2, name="first")], name="inner")
        model = keras.Model(inputs, layers.Dense(1, name="head")(inner(x)))
        model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW()))
        return model

    one, other = model(), model()
    assert decay_exclusions(one) is None
    exclude_from_decay(other, None)
    kernel = one.get_layer("first").cell.kernel
    one.optimizer.inner_optimizer.exclude_from_weight_decay([kernel], ["bias"])
    told = decay_exclusions(one)
    exclude_from_decay(other, told)
    optimizer = other.optimizer.inner_optimizer
    assert not optimizer._use_weight_decay(other.get_layer("first").cell.kernel)
    assert optimizer._use_weight_decay(other.get_layer("inner").layers[0].cell.kernel)
    assert not optimizer._use_weight_decay(other.get_layer("head").bias)
    assert decay_exclusions(other) == told
