"""What a layer is to normalization: linear, activation, pooling, normalization."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from normcraft._core.keras_private import sublayers

__all__ = [
    "activation_name",
    "float_policy",
    "has_fused_activation",
    "is_activation",
    "is_addition",
    "is_linear",
    "is_multiplication",
    "is_normalization",
    "is_pooling",
    "is_wrapped_linear",
    "keeps_channels",
    "layers_inside",
    "transposition",
    "unwrapped",
]

Operation = Any

LINEAR = (
    layers.Dense,
    layers.EinsumDense,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
)
ACTIVATION = {
    layers.ELU: "elu",
    layers.LeakyReLU: "leaky_relu",
    layers.PReLU: "prelu",
    layers.ReLU: "relu",
    layers.Softmax: "softmax",
}
POOLING = (
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
)
NORMALIZATION = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.RMSNormalization,
)
KEEPS_CHANNELS = (
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.Dropout,
    layers.Flatten,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.Permute,
    layers.Reshape,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.UpSampling3D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
)
ACTIVATION_OPERATIONS = frozenset(
    (
        *("Celu", "Elu", "Gelu", "Glu", "HardShrink", "HardSigmoid", "HardSilu", "HardTanh"),
        *("LeakyRelu", "LogSigmoid", "LogSoftmax", "Relu", "Relu6", "Selu", "Sigmoid", "Silu"),
        *("SoftShrink", "Softmax", "Softplus", "Softsign", "SparsePlus", "SparseSigmoid"),
        *("Sparsemax", "SquarePlus", "TanhShrink", "Threshold"),
    )
)


def is_linear(operation: Operation) -> bool:
    """Whether the operation is a Dense, EinsumDense or convolution: a site of normalization.

    Returns:
        True for those layers and their subclasses.

    Example:
        >>> is_linear(layers.Conv2D(8, 3)), is_linear(layers.LSTM(8))
        (True, False)
    """
    return isinstance(operation, LINEAR)


def unwrapped(operation: Operation) -> Operation:
    """What is applied to each step, where the operation is TimeDistributed.

    Returns:
        The layer inside, or the operation itself.

    Example:
        >>> type(unwrapped(layers.TimeDistributed(layers.ReLU()))).__name__
        'ReLU'
    """
    return operation.layer if isinstance(operation, layers.TimeDistributed) else operation


def is_wrapped_linear(operation: Operation) -> bool:
    """Whether the operation applies a Dense, EinsumDense or convolution to each step.

    Returns:
        True for those layers inside TimeDistributed; a fused activation there is not split.

    Example:
        >>> is_wrapped_linear(layers.TimeDistributed(layers.Dense(2)))
        True
    """
    return unwrapped(operation) is not operation and is_linear(unwrapped(operation))


def is_normalization(operation: Operation) -> bool:
    """Whether the operation is normalization that a placement may remove.

    Preprocessing `Normalization`, `UnitNormalization` and `SpectralNormalization` are not.

    Returns:
        True for Batch-, Layer-, Group- and RMSNormalization and their subclasses, also inside
        TimeDistributed.

    Example:
        >>> is_normalization(layers.LayerNormalization()), is_normalization(layers.Normalization())
        (True, False)
    """
    return isinstance(unwrapped(operation), NORMALIZATION)


def is_pooling(operation: Operation) -> bool:
    """Whether the operation pools, locally or globally.

    Returns:
        True for Keras's pooling layers.

    Example:
        >>> is_pooling(layers.GlobalMaxPooling2D()), is_pooling(layers.Flatten())
        (True, False)
    """
    return isinstance(unwrapped(operation), POOLING)


def activation_name(operation: Operation) -> str | None:
    """Name of the non-linearity that an operation applies at its end, fused or on its own.

    Args:
        operation: A layer or a raw operation.

    Returns:
        For example `"relu"`; None where the operation applies none (or the identity).

    Example:
        >>> activation_name(layers.Dense(2, activation="tanh")), activation_name(layers.Dense(2))
        ('tanh', None)
    """
    if isinstance(operation, layers.Activation) or is_linear(operation):
        function = operation.activation
        name = getattr(function, "__name__", type(function).__name__)
        return None if function is None or name == "linear" else str(name)
    own = next((name for cls, name in ACTIVATION.items() if isinstance(operation, cls)), None)
    return own or _operation_name(operation)


def _operation_name(operation: Operation) -> str | None:
    module, name = type(operation).__module__, type(operation).__name__
    if module.endswith("ops.numpy") and name == "Tanh":
        return "tanh"
    if module.endswith("ops.nn") and name in ACTIVATION_OPERATIONS:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return None


def is_activation(operation: Operation) -> bool:
    """Whether the operation is a non-linearity of its own (a layer or a raw operation).

    Returns:
        False for `Activation("linear")` and for layers with a fused activation.

    Example:
        >>> is_activation(layers.ReLU()), is_activation(layers.Dense(2, activation="relu"))
        (True, False)
    """
    inner = unwrapped(operation)
    return not is_linear(inner) and activation_name(inner) is not None


def has_fused_activation(operation: Operation) -> bool:
    """Whether the operation is linear with a non-linearity fused in by `activation=`.

    Returns:
        True for example for `Dense(8, activation="relu")`.

    Example:
        >>> has_fused_activation(layers.Dense(8, activation="relu"))
        True
    """
    inner = unwrapped(operation)
    return is_linear(inner) and activation_name(inner) is not None


def is_addition(operation: Operation) -> bool:
    """Whether the operation adds tensors, as the end of a residual block does.

    Returns:
        True for the Add layer, `keras.ops.add` and `+`.

    Example:
        >>> is_addition(layers.Add()), is_addition(layers.Concatenate())
        (True, False)
    """
    return isinstance(operation, keras.Operation) and type(operation).__name__ == "Add"


def is_multiplication(operation: Operation) -> bool:
    """Whether the operation multiplies: an activation that goes into it is a gate.

    Returns:
        True for the Multiply layer, `keras.ops.multiply` and `*`.

    Example:
        >>> is_multiplication(layers.Multiply())
        True
    """
    return isinstance(operation, keras.Operation) and type(operation).__name__ == "Multiply"


def keeps_channels(operation: Operation) -> bool:
    """Whether an activation behind the operation still belongs to the linear layer before it.

    Returns:
        True for dropout, noise, padding, cropping, reshaping, pooling and the identity.

    Example:
        >>> keeps_channels(layers.Dropout(0.5)), keeps_channels(layers.LSTM(2))
        (True, False)
    """
    inner = unwrapped(operation)
    identity = isinstance(inner, layers.Activation) and activation_name(inner) is None
    return identity or isinstance(inner, KEEPS_CHANNELS) or is_pooling(inner)


def transposition(operation: Operation, rank: int) -> tuple[int, ...] | None:
    """How an operation permutes the axes of its input.

    Args:
        operation: A layer or a raw operation.
        rank: Rank of what it takes.

    Returns:
        For each axis of the output the axis of the input that it was; None for other operations.

    Example:
        >>> transposition(layers.Permute((3, 1, 2)), 4)
        (0, 3, 1, 2)
    """
    if isinstance(operation, layers.Permute):
        return (0, *operation.dims)
    if not type(operation).__module__.endswith("ops.numpy"):
        return None
    tagged = np.empty(range(rank))  # the size of an axis is its number
    name = type(operation).__name__
    if name == "Transpose":
        return np.transpose(tagged, operation.axes).shape
    if name == "Moveaxis":
        return np.moveaxis(tagged, operation.source, operation.destination).shape
    if name == "Swapaxes":
        return np.swapaxes(tagged, operation.axis1, operation.axis2).shape
    return None


def layers_inside(operation: Operation, family: Callable[[Operation], bool]) -> int:
    """How many layers of a family an operation keeps inside, where surgery does not reach.

    Args:
        operation: A layer or a raw operation.
        family: For example `is_linear`.

    Returns:
        0 for layers that are of the family themselves, also inside TimeDistributed.

    Example:
        >>> attention = layers.MultiHeadAttention(2, 4)
        >>> attention.build((None, 5, 8), (None, 5, 8))
        >>> layers_inside(attention, is_linear), layers_inside(layers.Dense(2), is_linear)
        (4, 0)
    """
    if not isinstance(operation, layers.Layer) or family(unwrapped(operation)):
        return 0
    return sum(family(inner) for inner in sublayers(operation))


def float_policy(operation: Operation) -> str | None:
    """Dtype policy that a new layer beside this one takes over.

    Args:
        operation: A layer or a raw operation.

    Returns:
        For example `"mixed_float16"`; None for raw operations, inputs, and layers that compute in
        integers.

    Example:
        >>> float_policy(layers.Dense(2, dtype="int8_from_mixed_bfloat16"))
        'mixed_bfloat16'
    """
    if not isinstance(operation, layers.Layer) or isinstance(operation, layers.InputLayer):
        return None
    compute, variables = operation.compute_dtype, operation.variable_dtype
    if "float" not in compute:
        return None
    return str(compute if compute == variables else f"mixed_{compute}")
