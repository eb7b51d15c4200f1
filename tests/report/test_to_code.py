"""Written code is run: the model that comes of it is the one that went in."""

from __future__ import annotations

import ast
import json
import random
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from normcraft._core.errors import InputError
from normcraft.report import to_code

pytestmark = [
    pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`"),
    # Keras 3.15 reads an optimizer's learning rate in a way that NumPy 2 warns of.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def describe(model) -> str:
    return json.dumps(keras.saving.serialize_keras_object(model))


def run(code: str) -> keras.Model:
    names: dict = {"__name__": "pasted"}
    exec(compile(code, "pasted", "exec"), names)
    return names["model"]


def sequential_cnn():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, use_bias=False, kernel_regularizer=keras.regularizers.L2(1e-4)),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(3, strides=2),
            layers.GroupNormalization(2),
            layers.Flatten(),
            layers.Dropout(0.5, seed=3),
            layers.Dense(
                3,
                activation="softmax",
                kernel_initializer=keras.initializers.RandomUniform(-0.1, 0.1, seed=1),
                bias_initializer="ones",
                kernel_constraint="max_norm",
            ),
        ]
    )


def branches():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same")(inputs)
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
    z = layers.DepthwiseConv2D(3, padding="same")(x)
    return keras.Model(inputs, layers.Add()([x, y, z]))


def shared_layer():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    dense = layers.Dense(3, name="shared one")
    return keras.Model([left, right], layers.Concatenate()([dense(left), dense(dense_in(right))]))


def dense_in(tensor):
    return layers.Dense(4, name="for")(tensor)


def nested():
    inner = keras.Input((4,))
    heads = keras.Model(inner, [layers.Dense(2)(inner), layers.Dense(3)(inner)], name="heads")
    body = keras.Sequential([keras.Input((5,)), layers.Dense(4, "relu"), nested_deeper()])
    first, second = keras.Input((5,)), keras.Input((5,))
    one, other = heads(layers.Add()([body(first), body(second)]))
    return keras.Model([first, second], layers.Concatenate()([one, other]))


def nested_deeper():
    return keras.Sequential([keras.Input((4,)), layers.LayerNormalization()], name="model")


def raw_operations():
    inputs = keras.Input((4, 8))
    a, b = ops.split(inputs, 2, axis=1)
    x = ops.einsum("bij,bkj->bik", a, b)
    x = ops.relu(x + 1.0) * 2.0 - x / 3.0
    x = ops.concatenate([x[..., :1], 1.0 - x[:, 1:, ::2]], axis=1)
    x = ops.where(x > 0, x, ops.maximum(0.1 * x, float("-inf")))
    x = x * np.array([1.0, 2.0, 3.0], "float32")
    return keras.Model(inputs, ops.mean(ops.reshape(x, (-1, 3)), axis=1, keepdims=True))


def several_outputs():
    inputs = keras.Input((4,), name="row")
    x = layers.Dense(3, activation=ops.silu)(inputs)
    model = keras.Model({"row": inputs}, {"age": layers.Dense(1, name="age")(x), "class": x})
    model.compile("adam", loss={"age": "mse", "class": None}, loss_weights={"age": 2.0})
    return model


def recurrent():
    inputs = keras.Input((6, 5))
    x, state, _ = layers.LSTM(3, return_state=True, return_sequences=True)(inputs)
    x = layers.Bidirectional(layers.GRU(2))(x)
    return keras.Model(inputs, layers.Concatenate()([x, state]))


def masked():
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(inputs)
    return keras.Model(inputs, layers.LSTM(3)(x))


def attention():
    inputs = keras.Input((6, 8))
    x = layers.MultiHeadAttention(2, 4)(inputs, inputs, use_causal_mask=True)
    x, scores = layers.MultiHeadAttention(2, 4)(x, x, return_attention_scores=True)
    x = layers.TimeDistributed(keras.Sequential([keras.Input((8,)), layers.Dense(3)]))(x)
    return keras.Model(inputs, [x, scores])


def mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = keras.Sequential(
            [keras.Input((4,)), layers.Dense(3), layers.Dense(2, dtype="float32")]
        )
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), loss="mse")
    finally:
        keras.config.set_dtype_policy("float32")
    return model


def fixed_batch_and_frozen():
    inputs = keras.Input(batch_shape=(2, 4), dtype="float16")
    frozen = layers.Dense(3, trainable=False)
    return keras.Model(inputs, layers.BatchNormalization()(frozen(inputs), training=False))


def mobile_net():
    return keras.applications.MobileNetV2(input_shape=(32, 32, 3), weights=None, classes=3)


def res_net():
    return keras.applications.ResNet50(input_shape=(32, 32, 3), weights=None, classes=3)


SMALL = [
    sequential_cnn, branches, shared_layer, nested, raw_operations, several_outputs, recurrent,
    masked, attention, mixed_precision, fixed_batch_and_frozen,
]  # fmt: skip
LARGE = [mobile_net, res_net]


@pytest.fixture
def no_random_weights(monkeypatch):
    """Weights of zeros, which need no kernel compiled for each shape."""

    def zeros(self, shape, dtype=None):
        return np.zeros(shape, dtype)

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)


@pytest.mark.usefixtures("no_random_weights")
@pytest.mark.parametrize("build", [*SMALL, *LARGE])
def test_the_code_builds_a_model_of_the_same_description(build):
    model = build()
    code = to_code(describe(model))
    again = run(code)
    assert "deserialize_keras_object" not in code
    assert canonical(again) == canonical(model)
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


@pytest.mark.usefixtures("no_random_weights")
@pytest.mark.parametrize("build", SMALL)
def test_the_code_builds_the_same_function(build):
    model = build()
    again = run(to_code(describe(model)))
    weights = [noise(weight) for weight in model.weights]
    model.set_weights(weights)
    again.set_weights(weights)
    generator = np.random.default_rng(0)
    data = {i.name: generator.integers(0, 5, (2, *i.shape[1:])) for i in model.inputs}
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    data = keras.tree.map_structure(lambda i: data[i.name].astype(i.dtype), structure)
    expected, actual = (keras.tree.flatten(m(data, training=False)) for m in (model, again))
    for one, other in zip(expected, actual, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(other), ops.convert_to_numpy(one))


def noise(weight):
    # The state of dropout is a weight, too, and made of whole numbers.
    if "seed" in weight.path:
        return ops.convert_to_numpy(weight)
    generator = np.random.default_rng(len(weight.path))
    return np.abs(generator.normal(size=weight.shape)) + 0.01


def canonical(model):
    """The description, without what counts up: names of operations and of the optimizer.

    Nor do a Sequential model's own data type and a mask that is None, which do nothing.
    """
    text = describe(model).replace(', "mask": null', "")
    for number, operation in enumerate(operations_of(json.loads(text))):
        text = text.replace(json.dumps(operation), f'"operation {number}"')
    description = json.loads(text)
    description["config"].pop("dtype", None)
    if optimizer := description["compile_config"].get("optimizer"):
        for each in (optimizer, optimizer["config"].get("inner_optimizer") or optimizer):
            each["config"].pop("name", None)
    return description


def operations_of(tree):
    if isinstance(tree, dict) and "keras.src.ops" in str(tree.get("module")):
        yield tree["name"]
    elif isinstance(tree, (dict, list)):
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from operations_of(item)


def test_defaults_are_left_out_and_the_text_is_what_one_would_write():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(32, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(10, kernel_initializer="he_normal", name="out"),
        ],
        name="small",
    )
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    assert to_code(describe(model)) == (
        "import keras\n"
        "from keras import layers\n"
        "\n"
        "model = keras.Sequential(\n"
        "    [\n"
        '        keras.Input(shape=(8, 8, 1), name="image"),\n'
        '        layers.Conv2D(32, 3, use_bias=False, name="conv"),\n'
        '        layers.BatchNormalization(name="norm"),\n'
        '        layers.Dense(10, kernel_initializer="he_normal", name="out"),\n'
        "    ],\n"
        '    name="small",\n'
        ")\n"
        "\n"
        "model.compile(\n"
        '    optimizer=keras.optimizers.Adam(learning_rate=0.01), loss="mse", metrics=["mae"]\n'
        ")\n"
    )


def test_a_chain_keeps_one_variable_and_a_branch_gets_its_own():
    inputs = keras.Input((4,), name="row")
    x = layers.Dense(4, name="a")(inputs)
    y = layers.ReLU(name="c")(layers.Dense(4, name="b")(x))
    model = keras.Model(inputs, layers.Add(name="sum")([x, y]), name="residual")
    lines = to_code(keras.saving.serialize_keras_object(model)).splitlines()
    assert lines[3:] == [
        'inputs = keras.Input(shape=(4,), name="row")',
        'x = layers.Dense(4, name="a")(inputs)',
        'y = layers.Dense(4, name="b")(x)',
        'y = layers.ReLU(name="c")(y)',
        'outputs = layers.Add(name="sum")([x, y])',
        'model = keras.Model(inputs, outputs, name="residual")',
    ]


def test_compile_settings_survive():
    model = sequential_cnn()
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.1, 1, 1e-6)
    model.compile(
        keras.optimizers.SGD(schedule, momentum=0.9),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        metrics=["accuracy", keras.metrics.CategoricalAccuracy(name="q")],
        steps_per_execution=2,
    )
    again = run(to_code(describe(model)))
    before, after = model.get_compile_config(), again.get_compile_config()
    for config in (before, after):
        del config["optimizer"]["config"]["name"]
    assert after == before


def test_functions_of_keras_are_referred_to():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile("sgd", loss=keras.losses.mean_squared_error)
    assert "loss=keras.losses.mean_squared_error" in to_code(describe(model))


def test_a_loss_that_cannot_be_found_leaves_a_comment_and_the_model():
    def my_loss(true, predicted):
        return ops.mean(true - predicted)

    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile("sgd", loss=my_loss)
    code = to_code(describe(model))
    assert "# model.compile(...) is left out: no function 'my_loss' is registered." in code
    assert not run(code).compiled


@keras.saving.register_keras_serializable("tests")
class Scale(layers.Layer):
    def __init__(self, factor, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.factor, self.offset = factor, offset

    def call(self, inputs):
        return inputs * self.factor + self.offset, inputs

    def get_config(self):
        return super().get_config() | {"factor": self.factor, "offset": self.offset}


@keras.saving.register_keras_serializable("tests")
class Opaque(layers.Layer):
    """Its configuration names what its constructor does not take."""

    secret = 0

    @classmethod
    def from_config(cls, config):
        secret = config.pop("secret")
        layer = cls(**config)
        layer.secret = secret
        return layer

    def call(self, inputs):
        return inputs

    def get_config(self):
        return super().get_config() | {"secret": self.secret}


def custom_model(layer):
    inputs = keras.Input((4,))
    outputs = layer(inputs)
    return keras.Model(inputs, outputs[0] if isinstance(outputs, (list, tuple)) else outputs)


def test_a_registered_layer_is_imported_from_its_module():
    model = custom_model(Scale(2.0, name="twice"))
    code = to_code(describe(model))
    assert f"from {__name__} import Scale\n" in code
    assert 'Scale(2.0, name="twice")(inputs)' in code
    x = np.ones((1, 4), "float32")
    np.testing.assert_array_equal(run(code)(x), model(x))


class Plain(layers.Layer):
    """Not registered: Keras would ask for `custom_objects`, code need not."""

    def call(self, inputs):
        return -inputs


def test_an_imported_layer_need_not_be_registered():
    code = to_code(describe(custom_model(Plain(name="plain"))))
    assert f"from {__name__} import Plain\n" in code
    np.testing.assert_array_equal(run(code)(np.ones((1, 4))), -np.ones((1, 4)))


def test_a_layer_of_the_notebook_itself_is_used_by_its_name(monkeypatch):
    monkeypatch.setattr(Scale, "__module__", "__main__")
    code = to_code(describe(custom_model(Scale(2.0))))
    assert "# Scale is a name of your own notebook or script.\n" in code
    assert "import Scale" not in code


def test_a_class_whose_name_the_code_needs_is_not_imported():
    taken = type("layers", (Scale,), {"__module__": __name__, "__qualname__": "layers"})
    keras.saving.register_keras_serializable("tests")(taken)
    assert "because the name layers is taken" in to_code(describe(custom_model(taken(2.0))))


def test_two_classes_of_one_name_are_not_confused():
    @keras.saving.register_keras_serializable("others")
    class Twin(Scale):
        pass

    Twin.__qualname__, Twin.__name__ = "Scale", "Scale"
    inputs = keras.Input((4,))
    model = keras.Model(inputs, Scale(2.0)(Twin(2.0)(inputs)[0]))
    assert "because two classes are called Scale" in to_code(describe(model))


def test_a_class_inside_a_function_cannot_be_imported():
    @keras.saving.register_keras_serializable("tests")
    class Local(Scale):
        pass

    assert "Local' is defined inside a function" in to_code(describe(custom_model(Local(2.0))))


def test_what_calls_cannot_say_is_written_as_a_description():
    layer = Opaque(name="opaque")
    layer.secret = 7
    model = custom_model(layer)
    code = to_code(describe(model))
    assert "# Written as Keras's own description, because Opaque" in code
    again = run(code)
    assert describe(again) == describe(model)


def change(model, change_config):
    description = json.loads(describe(model))
    change_config(description["config"]["layers"])
    return to_code(description)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("class_name", "Nowhere", "no class 'Nowhere' is registered or imported"),
        ("class_name", "deserialize", "no class 'deserialize' is registered or imported"),
        ("class_name", "TFSMLayer", "a TFSMLayer layer holds code of its own"),
        ("module", "os.path", "no class 'Dense' is registered or imported"),
        ("config", {"name": "d", "units": -3}, "layers.Dense refuses its description"),
        ("config", {"name": "d", "units": 3, "x=1): pass #": 1}, "layers.Dense refuses"),
    ],
)
def test_a_description_says_why_it_is_no_code(key, value, reason):
    def spoil(found):
        found[1][key] = value

    code = change(keras.Sequential([keras.Input((4,)), layers.Dense(2)]), spoil)
    comment = next(line for line in code.splitlines() if line.startswith("#"))
    assert reason in comment


def test_a_graph_that_cannot_be_ordered_is_written_as_a_description():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(4, name="b")(layers.Dense(4, name="a")(inputs)))

    def tie(found):
        history = found[1]["inbound_nodes"][0]["args"][0]["config"]
        history["keras_history"] = ["b", 0, 0]

    assert "because its graph has a loop or a loose end" in change(model, tie)


def test_operations_that_functions_do_not_make_are_written_as_a_description():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, ops.relu(inputs))

    def add_setting(found):
        found[1]["config"]["unknown"] = 1

    def rename(found):
        found[1]["class_name"] = "Nothing"

    assert "because keras.ops.relu does not take what it was given" in change(model, add_setting)
    assert "because no function of keras.ops makes a Nothing" in change(model, rename)


def test_arguments_of_a_call_are_checked():
    def name_hostile(found):
        found[1]["inbound_nodes"][0]["kwargs"]["training=1) #"] = 1

    def name_unknown(found):
        found[1]["inbound_nodes"][0]["kwargs"]["unknown"] = 1

    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(inputs))
    assert "because 'training=1) #' is no name of an argument" in change(model, name_hostile)
    model = custom_model(Scale(2.0, name="twice"))
    assert "because layer 'twice' refuses its input" in change(model, name_unknown)


def test_a_layer_that_is_called_on_nothing_is_written_as_a_description():
    def cut(found):
        found[1]["inbound_nodes"] = []

    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, name="d")(inputs))
    assert "because layer 'd' has no input" in change(model, cut)


HOSTILE = [
    '"); import os; os.abort(); ("',
    "'); raise SystemExit(1) #",
    '"""\nraise SystemExit(1)\n"""',
    "\\",
    "\u2028raise SystemExit(1)",
    "import",
    "x\r\nraise SystemExit(1)",
]


@pytest.fixture(scope="module")
def marked():
    inputs = keras.Input((4,), name="INPUT")
    shared = layers.Dense(4, name="SHARED")
    inner = keras.Sequential([keras.Input((4,)), layers.ReLU()], name="NESTED")
    x = layers.Dense(4, name="LAYER")(shared(shared(inner(inputs))))
    model = keras.Model(inputs, [x, layers.ReLU()(x)], name="MODEL")
    model.compile("sgd", loss="mse", metrics=[["METRIC"], []])
    return describe(model)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", ["layer", "input", "model", "shared", "nested", "metric"])
def test_names_cannot_leave_their_literals(marked, name, place):
    # Changed in the description: Keras itself refuses some of these names.
    mark = json.dumps(place.upper())
    assert mark in marked
    code = to_code(marked.replace(mark, json.dumps(name)))
    tree = ast.parse(code)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not names & {"SystemExit", "os"}
    kinds = {type(statement).__name__ for statement in tree.body}
    assert kinds <= {"Import", "ImportFrom", "Assign", "Expr"}


def test_reasons_cannot_leave_their_comment():
    def spoil(found):
        found[1]["class_name"] = "X\nraise SystemExit(1)\n#"

    code = change(keras.Sequential([keras.Input((4,)), layers.Dense(2)]), spoil)
    assert "\nraise" not in code
    assert r"X\\x0araise" in code


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        "{}",
        {"class_name": "Sequential"},
        {"module": "keras", "class_name": "Sequential", "config": {"layers": 3}},
        {"module": "keras", "class_name": "Functional", "config": {"layers": []}},
        {"class_name": object(), "config": {}},
        "[" * 100_000,
    ],
)
def test_what_describes_no_model_is_refused(config):
    with pytest.raises(InputError, match=r"describes no Keras model.*expected what keras"):
        to_code(config)


def test_a_lambda_is_refused_with_the_way_out():
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x * 2)])
    with pytest.raises(InputError, match=r"holds a Python lambda.*use keras\.ops"):
        to_code(describe(model))


def test_writing_imports_nothing_that_a_description_names():
    def spoil(found):
        found[1] |= {"module": "antigravity", "class_name": "Dense"}

    change(keras.Sequential([keras.Input((4,)), layers.Dense(2)]), spoil)
    assert "antigravity" not in sys.modules


def test_settings_and_random_state_are_left_alone():
    description = describe(sequential_cnn())
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        random.seed(0)
        code = to_code(description)
        drawn = random.random()
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    random.seed(0)
    assert drawn == random.random()
    assert "dtype" not in code
    assert keras.config.image_data_format() == "channels_last"
