"""What becomes of layers, biases, activations and names when a model is edited."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from normcraft.graph import activation_name
from normcraft.surgery import place, remove_normalization
from strategies import arrays, outputs, randomise, same, untouched
from tolerances import assert_close
from versions import KERAS


def names(model):
    operations = getattr(model, "operations", model.layers)
    return [one.name for one in operations if not isinstance(one, layers.InputLayer)]


def activations(model):
    return [activation_name(op) for op in model.operations if activation_name(op)]


def test_a_fused_activation_is_split_and_computes_the_same():
    chain = [keras.Input((4,)), layers.Dense(4, "tanh", name="a"), layers.Dense(2, name="b")]
    model = randomise(keras.Sequential(chain))
    result = place(model, "before_activation")
    assert names(result.model) == ["a", "a_batch_normalization", "a_activation", "b"]
    bare = remove_normalization(result.model).model
    bare.set_weights([np.zeros_like(w) if w.ndim == 1 else w for w in bare.get_weights()])
    model.layers[0].bias.assign(np.zeros(4))
    model.layers[1].bias.assign(np.zeros(2))
    assert same(outputs(bare), outputs(model))


def test_names_dodge_those_that_are_taken():
    chain = [
        keras.Input((4,)),
        layers.Dense(4, "relu", name="a"),
        layers.Activation("tanh", name="a_activation"),
        layers.Dense(4, name="a_batch_normalization"),
        layers.Dense(2),
    ]
    result = place(keras.Sequential(chain), "before_activation")
    assert names(result.model)[:5] == [
        *("a", "a_batch_normalization_2", "a_activation_2", "a_activation"),
        "a_batch_normalization",
    ]


def test_placing_again_on_an_edited_model_gives_the_same_model():
    chain = [keras.Input((4,)), layers.Dense(4, "relu", name="a"), layers.Dense(2, name="b")]
    once = place(keras.Sequential(chain), "before_activation").model
    twice = place(once, "before_activation").model
    assert names(once) == names(twice)
    assert once.get_config() == twice.get_config()


def test_normalization_at_inference_is_what_numpy_says():
    chain = [keras.Input((4,)), layers.Dense(3, "tanh", name="a"), layers.Dense(2, name="b")]
    model = randomise(place(randomise(keras.Sequential(chain)), "before_activation").model, 3)
    kernel, gamma, beta, mean, variance, head, bias = (
        w.astype(float) for w in arrays(model.weights)
    )
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    z = (x @ kernel - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    assert_close(outputs(model, [x])[0], np.tanh(z) @ head + bias)


# --- activations ---------------------------------------------------------------------------------


def test_a_layer_as_activation_becomes_a_layer_of_its_own():
    chain = [keras.Input((4,)), layers.Dense(3, layers.LeakyReLU(0.5), name="a"), layers.Dense(2)]
    model = keras.Sequential(chain)
    copy = place(model, "before_activation").model
    assert copy.get_layer("a_activation").activation is not model.layers[0].activation
    assert copy.get_layer("a_activation").activation.negative_slope == 0.5


def own_activation(x):
    return ops.maximum(x, x / 3)


@pytest.mark.parametrize("activation", [own_activation, lambda x: x * x])
def test_functions_of_ones_own_need_no_registration(activation):
    chain = [keras.Input((4,)), layers.Dense(3, activation, name="a"), layers.Dense(2)]
    model = randomise(keras.Sequential(chain))
    copy = place(model, "after_activation").model
    assert copy.get_layer("a").activation is not None
    assert same(outputs(model), outputs(place(model, "none").model))
    assert (
        place(model, "before_activation").model.get_layer("a_activation").activation is activation
    )


def test_a_lambda_layer_is_copied():
    chain = [keras.Input((4,)), layers.Lambda(lambda x: x * 2, output_shape=(4,)), layers.Dense(2)]
    model = keras.Sequential(chain)
    assert same(outputs(model), outputs(place(model, "as_given").model))


def test_an_activity_regularizer_stays_with_the_activation():
    chain = [keras.Input((4,)), layers.Dense(3, "relu", activity_regularizer="l2", name="a")]
    copy = place(keras.Sequential([*chain, layers.Dense(2)]), "before_activation").model
    assert copy.get_layer("a").activity_regularizer is None
    assert copy.get_layer("a_activation").activity_regularizer is not None
    left = place(keras.Sequential([*chain, layers.Dense(2)]), "after_activation").model
    assert left.get_layer("a").activity_regularizer is not None


def residual():
    entry = keras.Input((4,))
    x = layers.ReLU(name="relu1")(layers.Dense(4, name="a")(entry))
    x = layers.ReLU(name="relu2")(layers.Add()([x, layers.Dense(4, "relu", name="b")(x)]))
    gate = layers.Dense(4, "sigmoid", name="gate")(x)
    weights = layers.Softmax(name="attention")(layers.Dense(4, name="scores")(x))
    x = layers.Multiply()([x, gate]) + weights
    return keras.Model(entry, layers.Dense(2, "softmax", name="head")(ops.tanh(x)))


def test_hidden_activations_are_replaced_and_outputs_softmax_and_gates_are_not():
    model = residual()
    with untouched(model):
        result = place(model, "as_given", activation="elu")
    # relu2 feeds the gate's product, but so do hidden layers: a product guards what enters it.
    assert activations(result.model).count("elu") == result.activations_replaced == 3
    kept = {"gate": "sigmoid", "attention": "softmax", "head": "softmax", "relu2": "relu"}
    for name, activation in kept.items():
        assert activation_name(result.model.get_layer(name)) == activation


def test_replacing_an_activation_by_itself_counts_as_nothing():
    chain = [keras.Input((4,)), layers.Dense(3, "relu", name="a"), layers.Dense(2)]
    result = place(keras.Sequential(chain), "none", activation="relu")
    assert (result.activations_replaced, result.modified) == (0, False)


def test_a_layer_that_is_also_the_output_keeps_its_activation():
    entry = keras.Input((4,))
    layer = layers.Dense(4, "sigmoid", name="both")
    model = keras.Model(entry, layer(layer(entry)))
    assert place(model, "none", activation="relu").activations_replaced == 0


def test_activations_behind_normalization_that_stays_are_seen():
    chain = [keras.Input((4,)), layers.Dense(3, use_bias=False, name="a")]
    chain += [layers.BatchNormalization(name="n"), layers.ReLU(name="r"), layers.Dense(2)]
    model = keras.Sequential(chain)
    assert place(model, "as_given", activation="tanh").activations_replaced == 1
    copy = place(model, "as_given+after_activation").model
    assert names(copy)[:4] == ["a", "n", "r", "r_batch_normalization"]


# --- masks, dictionaries, quantization, files -----------------------------------------------------


def masked(encoder=None):
    entry = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4, mask_zero=True)(entry)
    x = layers.Dense(4, "relu", name="a")(x)
    return randomise(keras.Model(entry, layers.Dense(2)(layers.LSTM(3)(x))))


def test_masks_reach_what_they_reached_and_names_stay_the_same():
    model = masked()
    tokens = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]])
    copies = [place(model, "before_activation").model for _ in range(2)]
    assert copies[0].get_config() == copies[1].get_config()
    assert same(outputs(model, [tokens]), outputs(place(model, "as_given").model, [tokens]))
    changed = tokens.copy()
    again = randomise(copies[0])
    training = [ops.convert_to_numpy(again(t, training=True)) for t in (tokens, changed)]
    assert np.array_equal(*training)


def test_a_masked_model_that_was_loaded_can_be_edited(tmp_path):
    masked().save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    keras.utils.clear_session()
    copy = place(loaded, "before_activation").model
    assert len(set(names(copy))) == len(names(copy))


def test_dictionaries_of_inputs_and_outputs_stay():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    total = layers.Dense(2, "relu", name="d")(a + b)
    model = randomise(keras.Model({"a": a, "b": b}, {"y": layers.Dense(1)(total), "z": total}))
    copy = place(model, "input").model
    x = {"a": np.ones((2, 3)), "b": np.ones((2, 3))}
    assert copy(x).keys() == {"y", "z"}
    assert copy._inputs_struct.keys() == {"a", "b"}


@pytest.mark.skipif(KERAS < (3, 14), reason="this Keras wants every input to reach an output")
def test_an_optional_input_stays_optional():
    entry, other = keras.Input((3,)), keras.Input((3,), optional=True)
    model = keras.Model([entry, other], layers.Dense(2)(entry))
    copy = place(model, "as_given").model
    assert [t._keras_history.operation.optional for t in copy.inputs] == [False, True]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strings need TensorFlow")
def test_a_vocabulary_that_was_adapted_is_kept():
    import tensorflow as tf

    lookup = layers.StringLookup()
    lookup.adapt(tf.constant(["red", "green", "red"]))
    chain = [keras.Input((2,), dtype="string"), lookup, layers.Embedding(4, 3), layers.Flatten()]
    model = keras.Sequential([*chain, layers.Dense(2)])
    words = tf.constant([["red", "blue"], ["green", "red"]])
    copy = place(model, "before_activation+input").model
    assert copy.layers[0].get_vocabulary() == lookup.get_vocabulary()
    assert same(outputs(model, [words]), outputs(copy, [words]))


def test_subclassed_models_inside_keep_their_weights():
    entry = keras.Input((4,))
    model = randomise(keras.Model(entry, layers.Dense(2)(Inner(4)(entry))))
    assert same(outputs(model), outputs(place(model, "as_given").model))


class Inner(keras.Model):
    def __init__(self, units, **settings):
        super().__init__(**settings)
        self.units = units
        self.dense = layers.Dense(units)

    def build(self, shape):
        self.dense.build(shape)

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.units)

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        return {"units": self.units, "name": self.name}


def test_a_layer_shared_by_a_model_and_one_inside_it_stays_shared():
    layer, inner, entry = layers.Dense(4, name="shared"), keras.Input((4,)), keras.Input((4,))
    encoder = keras.Model(inner, layer(inner), name="encoder")
    model = randomise(keras.Model(entry, layer(encoder(entry))))
    copy = place(model, "as_given").model
    assert copy.get_layer("shared") is copy.get_layer("encoder").get_layer("shared")
    assert same(outputs(model), outputs(copy))


def test_adapted_ranks_keep_lora_weights():
    layer = layers.Dense(3, name="a")
    model = keras.Sequential([keras.Input((4,)), layer, layers.Dense(2)])
    layer.enable_lora(2)
    randomise(model)
    assert same(outputs(model), outputs(place(model, "as_given").model))


@pytest.mark.skipif(keras.backend.backend() == "numpy", reason="NumPy has no int8 layers")
def test_quantized_models_are_copied_and_normalized_in_floats():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, "relu", name="a"), layers.Dense(2)]
    )
    with pytest.warns(UserWarning, match="InputLayer does not have a `quantize`"):
        model.quantize("int8")
    copy = place(model, "as_given").model
    assert_close(outputs(copy)[0], outputs(model)[0])
    edited = place(model, "before_activation").model
    assert edited.get_layer("a_batch_normalization").dtype_policy.name == "float32"
    assert edited.get_layer("a_activation").dtype_policy.name == "float32"
    assert outputs(edited)[0].shape == (3, 2)


def test_states_of_random_generators_are_copied():
    chain = [keras.Input((4,)), layers.Dropout(0.5, seed=3), layers.Dense(2)]
    model = randomise(keras.Sequential(chain))
    x = np.ones((3, 4), "float32")
    model(x, training=True)
    copy = place(model, "as_given").model
    left, right = (ops.convert_to_numpy(m(x, training=True)) for m in (model, copy))
    assert np.array_equal(left, right)


def test_the_document_is_what_the_command_prints():
    chain = [keras.Input((4,)), layers.Dense(4, "relu", name="a"), layers.Dense(2, name="b")]
    document = place(keras.Sequential(chain), "before_activation").document()
    assert document["inserted"] == [{"site": "a", "kind": "batch"}]
    assert document["skipped"][0]["site"] == "b"
    assert document["biases_dropped"] == 1


@pytest.mark.parametrize("activation", ["tanh", None])
def test_a_shared_layer_keeps_its_bias_where_one_of_its_calls_is_not_normalized(activation):
    entry = keras.Input((4,))
    layer = layers.Dense(4, activation, name="both")
    model = randomise(keras.Model(entry, layer(layer(entry))))
    result = place(model, "before_activation")
    assert (result.inserted, result.biases_dropped) == ((("both", "batch"),), 0)
    assert result.model.get_layer("both").bias is not None
    bare = remove_normalization(result.model).model
    assert same(outputs(bare), outputs(model))
