"""Models to test with: a Hypothesis strategy of small graphs, and tools that look at models."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass

import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers, ops

CHANNELS = 4
CLASSES = 3
SHAPES = {
    "image": (6, 6, CHANNELS),
    "image_first": (CHANNELS, 6, 6),
    "sequence": (5, CHANNELS),
    "tokens": (5,),
    "vector": (CHANNELS,),
}
IMAGES = ("image", "image_first")
PLAIN_KINDS = ("image", "sequence", "vector")


def randomise(model: keras.Model, seed: int = 0) -> keras.Model:
    """Random weights, variances positive: on fresh ones wrong code looks right."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        value = generator.normal(0.2, 0.6, weight.shape)
        if "variance" in weight.name:
            value = np.abs(value) + 0.5
        weight.assign(value.astype("float32"))
    return model


def realistic(model: keras.Model, seed: int = 0) -> keras.Model:
    """Random weights and statistics that neither blow activations up nor let them vanish."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        shape, name = weight.shape, weight.name
        if "variance" in name or name == "gamma":
            value = generator.uniform(0.5, 1.5, shape)
        elif name in {"bias", "beta", "moving_mean"} or len(shape) < 2:
            value = generator.normal(0, 0.3, shape)
        else:
            value = generator.normal(0, np.sqrt(shape[-1] / np.prod(shape)), shape)
        weight.assign(value.astype("float32"))
    return model


def digest(model: keras.Model) -> str:
    """Everything that an edit could change in the model it was given."""
    operations = [op for part in nested(model) for op in getattr(part, "operations", ())]
    settings = getattr(model, "_compile_config", None)
    optimizer = getattr(model, "optimizer", None)
    seen = {
        "config": model.get_config(),
        "flags": [(layer.name, layer.trainable) for layer in model._flatten_layers()],
        "policies": [str(layer.dtype_policy) for layer in model._flatten_layers()],
        "calls": [(op.name, len(op._inbound_nodes), len(op._outbound_nodes)) for op in operations],
        "compile": settings and {key: repr(value) for key, value in settings.config.items()},
        "optimizer": optimizer and [optimizer.get_config(), arrays(optimizer.variables)],
        "variables": arrays(model.variables),
    }
    text = json.dumps(seen, default=_plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value) -> str:
    array = isinstance(value, np.ndarray)
    return hashlib.sha256(value.tobytes()).hexdigest() if array else repr(value)


def arrays(variables) -> list[np.ndarray]:
    """Copies of variables."""
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def nested(model: keras.Model) -> list[keras.Model]:
    """A model and all models inside it."""
    return [part for part in model._flatten_layers() if isinstance(part, keras.Model)]


@contextlib.contextmanager
def untouched(model: keras.Model):
    """Asserts that a model is at the end what it was at the beginning, bit for bit."""
    before = digest(model)
    yield
    assert digest(model) == before, "the input model was changed"


def batch_for(model: keras.Model, size: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Random inputs for a model; whole numbers for integer inputs."""
    generator = np.random.default_rng(seed)
    shapes = [(tensor.dtype, (size, *tensor.shape[1:])) for tensor in model.inputs]
    return [
        generator.integers(0, 5, shape).astype(dtype)
        if "int" in dtype
        else generator.normal(0.3, 1, shape).astype(dtype)
        for dtype, shape in shapes
    ]


def outputs(model: keras.Model, x: list[np.ndarray] | None = None) -> list[np.ndarray]:
    """Outputs at inference as a flat list of arrays."""
    x = batch_for(model) if x is None else x
    result = model(x if len(x) > 1 else x[0], training=False)
    return [np.array(ops.convert_to_numpy(value)) for value in keras.tree.flatten(result)]


def same(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    """Whether two lists of arrays are equal bit for bit."""
    return all(np.array_equal(one, other) for one, other in zip(left, right, strict=True))


def weights_by_path(model: keras.Model) -> dict[str, np.ndarray]:
    """Weights by the names of the layers around them and their own.

    Keras's own `path` depends on when a layer was built.
    """
    found: dict[str, np.ndarray] = {}

    def walk(layer: keras.layers.Layer, path: str) -> None:
        for weight in layer._trainable_variables + layer._non_trainable_variables:
            found[f"{path}{weight.name}"] = np.array(ops.convert_to_numpy(weight))
        for part in layer._layers:
            walk(part, f"{path}{part.name}/")

    walk(model, "")
    return found


# --- blocks: each takes a tensor and gives one of the same shape ---------------------------------


def _format(kind: str) -> dict[str, str]:
    return {"data_format": "channels_first" if kind == "image_first" else "channels_last"}


def _axis(kind: str) -> int:
    return 1 if kind == "image_first" else -1


def _linear(kind: str, **settings):
    if kind in IMAGES:
        return layers.Conv2D(CHANNELS, 3, padding="same", **_format(kind), **settings)
    if kind == "sequence":
        return layers.Conv1D(CHANNELS, 3, padding="same", **settings)
    return layers.Dense(CHANNELS, **settings)


def fused(kind, x):
    return _linear(kind, activation="relu")(x)


def separate(kind, x):
    return layers.LeakyReLU()(_linear(kind)(x))


def normalized(kind, x):
    x = layers.BatchNormalization(_axis(kind))(_linear(kind, use_bias=False)(x))
    return layers.Activation("tanh")(x)


def layer_normalized(kind, x):
    if kind == "image_first" and keras.backend.backend() == "torch":
        return fused(kind, x)  # Keras's layer fails there: tests/kinds
    return layers.LayerNormalization(axis=_axis(kind))(_linear(kind, activation="tanh")(x))


def group_normalized(kind, x):
    return layers.ReLU()(layers.GroupNormalization(2, axis=_axis(kind))(_linear(kind)(x)))


def dropped(kind, x):
    return layers.Dropout(0.3)(layers.PReLU()(_linear(kind)(x)))


def residual(kind, x):
    branch = _linear(kind)(_linear(kind, activation="relu")(x))
    return layers.ReLU()(layers.Add()([x, branch]))


def raw_residual(kind, x):
    return ops.relu(x + _linear(kind)(x))


def pre_activation(kind, x):
    branch = layers.ReLU()(layers.BatchNormalization(_axis(kind))(x))
    return layers.Add()([x, _linear(kind)(branch)])


def concatenated(kind, x):
    both = [_linear(kind, activation="relu")(x), _linear(kind)(x)]
    return _linear(kind, activation="sigmoid")(layers.Concatenate(axis=_axis(kind))(both))


def shared(kind, x):
    layer, activation = _linear(kind), layers.ReLU()
    return activation(layer(activation(layer(x))))


def shared_normalized(kind, x):
    layer, normalization = _linear(kind), layers.BatchNormalization(_axis(kind))
    return normalization(layer(layers.ReLU()(normalization(layer(x)))))


def frozen_normalized(kind, x):
    normalization = layers.BatchNormalization(_axis(kind))
    return layers.ReLU()(normalization(_linear(kind)(x), training=False))


def nested_twice(kind, x):
    entry = keras.Input(x.shape[1:])
    encoder = keras.Model(entry, normalized(kind, fused(kind, entry)))
    return encoder(encoder(x))


def nested_chain(kind, x):
    chain = [layers.Input(x.shape[1:]), _linear(kind, activation="relu"), _linear(kind)]
    return keras.Sequential(chain)(x)


def nested_deep(kind, x):
    entry = keras.Input(x.shape[1:])
    return keras.Model(entry, nested_chain(kind, fused(kind, entry)))(x)


def pooled(kind, x):
    if kind in IMAGES:
        pool = layers.MaxPooling2D(2, strides=1, padding="same", **_format(kind))
        return pool(_linear(kind)(x))
    if kind == "sequence":
        return layers.AveragePooling1D(2, strides=1, padding="same")(_linear(kind)(x))
    return layers.Activation("linear")(x)


def depthwise(kind, x):
    if kind in IMAGES:
        return layers.ReLU()(layers.DepthwiseConv2D(3, padding="same", **_format(kind))(x))
    convolution = layers.DepthwiseConv1D(3, padding="same", use_bias=False)
    return layers.ReLU()(layers.BatchNormalization()(convolution(x)))


def inverted_residual(kind, x):
    wide = layers.Conv2D(2 * CHANNELS, 1, use_bias=False, **_format(kind))(x)
    wide = layers.BatchNormalization(_axis(kind))(wide)
    wide = layers.DepthwiseConv2D(3, padding="same", use_bias=False, **_format(kind))(wide)
    wide = layers.ReLU(6.0)(layers.BatchNormalization(_axis(kind))(wide))
    narrow = layers.Conv2D(CHANNELS, 1, use_bias=False, **_format(kind))(wide)
    return layers.Add()([x, layers.BatchNormalization(_axis(kind))(narrow)])


def separable(kind, x):
    settings = {"padding": "same", "activation": "relu", **_format(kind)}
    return layers.SeparableConv2D(CHANNELS, 3, **settings)(x)


def transposed(kind, x):
    if kind in IMAGES:
        convolution = layers.Conv2DTranspose(CHANNELS, 3, padding="same", **_format(kind))
        return layers.BatchNormalization(_axis(kind))(convolution(x))
    return layers.Conv1DTranspose(CHANNELS, 3, padding="same", activation="tanh")(x)


def einsum(kind, x):
    return layers.EinsumDense("...c,cd->...d", CHANNELS, bias_axes="d")(x)


def timed(kind, x):
    return layers.TimeDistributed(layers.Dense(CHANNELS))(x)


def recurrent(kind, x):
    return layers.Bidirectional(layers.GRU(CHANNELS // 2, return_sequences=True))(x)


CHAINED = (fused, separate, normalized, layer_normalized, dropped)
CHAINED_IN = {
    **dict.fromkeys(IMAGES, (depthwise, transposed, depthwise, transposed, pooled, separable)),
    "sequence": (depthwise, transposed, depthwise, transposed, pooled, timed, recurrent),
    "tokens": (timed, recurrent, einsum),
    "vector": (einsum, pooled),
}
BRANCHED = (
    *(group_normalized, residual, raw_residual, pre_activation, concatenated, shared),
    *(shared_normalized, frozen_normalized, nested_twice, nested_chain, nested_deep),
)
BRANCHED_IN = dict.fromkeys(IMAGES, (transposed, inverted_residual, transposed))
HEADS = ("softmax", "separate", "linear", "two")


def entry(kind: str):
    """The input of a model, and what blocks go on from."""
    if kind == "tokens":
        tokens = keras.Input(SHAPES[kind], dtype="int32")
        return tokens, layers.Embedding(7, CHANNELS, mask_zero=True)(tokens)
    inputs = keras.Input(SHAPES[kind])
    return inputs, inputs


def _to_vector(kind: str, x, *, flatten: bool):
    if kind == "vector":
        return x
    if kind in IMAGES:
        pool = layers.GlobalAveragePooling2D(**_format(kind))
    else:
        pool = layers.GlobalAveragePooling1D()
    return layers.Flatten()(x) if flatten and kind != "tokens" else pool(x)


def build(kind: str, blocks, head: str, *, flatten: bool = False) -> keras.Model:
    """A Functional model of blocks on one kind of input, with a head."""
    inputs, x = entry(kind)
    for block in blocks:
        x = block(kind, x)
    x = _to_vector(kind, x, flatten=flatten)
    if head == "softmax":
        return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))
    if head == "separate":
        return keras.Model(inputs, layers.Softmax()(layers.Dense(CLASSES)(x)))
    logits = layers.Dense(CLASSES)(x)
    return keras.Model(inputs, logits if head == "linear" else [logits, layers.Dense(1)(x)])


def chained(model: keras.Model) -> keras.Model:
    """A chain as a Sequential."""
    entry = model.inputs[0]
    return keras.Sequential([keras.Input(entry.shape[1:], dtype=entry.dtype), *model.layers[1:]])


@dataclass(frozen=True)
class Recipe:
    """A small model to be built in the test (Keras draws random numbers, strategies must not)."""

    kind: str
    blocks: tuple
    head: str
    flatten: bool
    sequential: bool

    def build(self) -> keras.Model:
        """The built model with random weights."""
        model = build(self.kind, self.blocks, self.head, flatten=self.flatten)
        return randomise(chained(model) if self.sequential else model)

    def __repr__(self) -> str:
        names = [block.__name__ for block in self.blocks]
        return f"{self.kind} {names} {self.head} {self.flatten=} {self.sequential=}"


@st.composite
def recipes(draw, kinds=PLAIN_KINDS, min_blocks=1) -> Recipe:
    """Small models, Functional and Sequential."""
    kind = draw(st.sampled_from(kinds))
    # What masks a chain also has calls beside it.
    sequential = kind != "tokens" and draw(st.booleans())
    blocks = CHAINED_IN[kind] + CHAINED
    blocks = st.sampled_from(
        blocks if sequential else blocks + BRANCHED + BRANCHED_IN.get(kind, ())
    )
    number = draw(st.integers(min_blocks, min_blocks + 2))
    return Recipe(
        kind=kind,
        blocks=tuple(draw(blocks) for _ in range(number)),
        head=draw(st.sampled_from(HEADS[:3] if sequential else HEADS)),
        flatten=draw(st.booleans()),
        sequential=sequential,
    )
