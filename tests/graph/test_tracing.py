"""Subclassed models become graphs where their call only calls layers and operations."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from normcraft._core.errors import SurgeryError
from normcraft.graph import LayerGraph
from normcraft.surgery import insert_normalization, place, remove_normalization
from strategies import arrays, outputs, randomise, same

# Keras says so of models with layers that are never called, or come later.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have a `build:UserWarning")
X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")


class Encoder(keras.Model):
    def __init__(self):
        super().__init__(name="encoder")
        self.dense = layers.Dense(6, "relu", name="d")
        self.norm = layers.BatchNormalization(name="n")

    def call(self, x, training=False):
        return self.norm(self.dense(x), training=training)


class Network(keras.Model):
    def __init__(self):
        super().__init__(name="network")
        self.encoder = Encoder()
        self.hidden = layers.Dense(4, "relu", name="hidden")
        self.drop = layers.Dropout(0.5, name="drop")
        self.head = layers.Dense(2, name="head")

    def call(self, x, training=None):
        x = self.hidden(self.encoder(x, training=training))
        x = ops.concatenate([x, ops.square(x)], axis=-1)
        return self.head(self.drop(x, training=training))


def called(cls, x=X) -> keras.Model:
    model = cls()
    model(x)
    return randomise(model)


def state(model):
    layers_inside = model._flatten_layers()
    nodes = [(len(one._inbound_nodes), len(one._outbound_nodes)) for one in layers_inside]
    return nodes, arrays(model.variables)


def test_a_subclass_is_edited_and_left_as_it_was():
    model = called(Network)
    before = state(model)
    copy = place(model, "as_given").model
    assert same(outputs(model, [X]), outputs(copy, [X]))
    result = insert_normalization(model, "before_activation", calibrate=X)
    assert result.inserted == (("encoder/d", "batch"), ("hidden", "batch"))
    assert result.inference_difference < 1e-5
    nodes, values = state(model)
    assert nodes == before[0]
    assert same(values, before[1])


def test_a_copy_of_a_subclass_saves_and_loads_in_plain_keras(tmp_path):
    copy = place(called(Network), "as_given").model
    copy.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert same(outputs(copy, [X]), outputs(loaded, [X]))


def test_the_copy_keeps_the_difference_between_training_and_inference():
    model = called(Network)
    copy = place(model, "as_given").model
    copy.encoder = None
    inference, training = (np.array(ops.convert_to_numpy(copy(X, training=t))) for t in (0, 1))
    assert not np.allclose(inference, training)


def test_two_readings_give_the_same_names():
    model = called(Network)
    left, right = (LayerGraph.read(model) for _ in range(2))
    assert [c.site for c in left.calls] == [c.site for c in right.calls]
    left, right = (place(model, "before_activation").model for _ in range(2))
    assert left.get_config() == right.get_config()


class Switched(Network):
    dropping = True

    def call(self, x):
        x = self.hidden(self.encoder(x))
        return self.head(self.drop(x) if self.dropping else x)


def test_what_a_call_computes_later_is_seen():
    model = called(Switched)
    assert "drop" in [call.site for call in LayerGraph.read(model).calls]
    model.dropping = False
    assert "drop" not in [call.site for call in LayerGraph.read(model).calls]


class TakesDictionary(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.head = layers.Dense(4, "relu"), layers.Dense(2)

    def call(self, inputs):
        return self.head(self.hidden(inputs["a"]) + self.hidden(inputs["b"]))


def test_structured_inputs_keep_their_names():
    model = TakesDictionary()
    x = {"a": X, "b": X + 1}
    model(x)
    copy = place(randomise(model), "as_given").model
    assert set(copy.input) == {"a", "b"}
    left, right = (ops.convert_to_numpy(one(x)) for one in (model, copy))
    assert np.array_equal(left, right)


class Branches(Network):
    def call(self, x, training=None):
        x = self.hidden(self.encoder(x))
        if training:
            x = self.drop(x)
        return self.head(x)


class OwnWeight(Network):
    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(2,), name="temperature")

    def call(self, x):
        return self.head(self.drop(self.hidden(self.encoder(x)))) * self.scale


class TwoArguments(Network):
    def call(self, x, other):
        return self.head(self.hidden(self.encoder(x) + self.encoder(other)))


class LooksAtValues(Network):
    def build(self, shape):
        self.hidden.build(shape)
        self.head.build((None, 4))

    def call(self, x):
        large = np.asarray(ops.convert_to_numpy(x)).sum() > 1e9
        return self.head(self.hidden(-x if large else x))


@pytest.mark.parametrize(
    ("cls", "arguments", "reason"),
    [
        (Branches, (X,), "computes different things in training and at inference"),
        (OwnWeight, (X,), "uses the weight 'temperature' outside of a layer"),
        (TwoArguments, (X, X), "takes several tensors as arguments of their own"),
        (LooksAtValues, (X,), "does not run on symbolic inputs"),
        (Network, None, "it was never called, so the shape of its input is unknown"),
    ],
)
def test_what_cannot_be_traced_is_refused_with_what_to_do(cls, arguments, reason):
    model = cls()
    if arguments:
        model(*arguments)
    with pytest.raises(SurgeryError, match=reason) as caught:
        remove_normalization(model)
    assert "call it once on data and let call(self, inputs, training=None)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_subclass_inside_that_is_called_by_keyword():
    encoder, entry = Encoder(), keras.Input((4,))
    model = randomise(keras.Model(entry, layers.Dense(2)(encoder(x=entry, training=False))))
    copy = place(model, "as_given").model
    assert same(outputs(model, [X]), outputs(copy, [X]))
    assert place(model, "before_activation").inserted == (("encoder/d", "batch"),)


class Doubled(keras.Model):
    def call(self, x, training=None):
        return super().call(x, training=training) * 2


class Built(keras.Model):
    def build(self, shape):
        self.dense = layers.Dense(3, name="d")
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


class Chain(keras.Sequential):
    def call(self, x, training=None):
        return super().call(x, training=training) + x


class OwnStep(Network):
    def train_step(self, *args):
        return super().train_step(*args)


def test_a_step_of_its_own_cannot_be_carried_over():
    with pytest.raises(SurgeryError, match="a class with its own call and its own train_step"):
        place(called(OwnStep), "as_given")


def test_what_a_call_of_its_own_adds_is_in_the_copy_once():
    entry = keras.Input((4,))
    chain = Chain([keras.Input((4,)), layers.Dense(4)])
    for model in (Doubled(entry, layers.Dense(2)(entry)), called(Built), called(lambda: chain)):
        copy = place(randomise(model), "as_given").model
        assert type(copy).call is not type(model).call
        assert same(outputs(model, [X]), outputs(copy, [X]))
