"""In which form each layer is computed: the library's, or one of ours while a program is traced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import keras
from keras import layers

from normcraft.graph import LayerGraph
from normcraft.trainers.fused.convolution import matrix_product, sum_of_shifts
from normcraft.trainers.fused.pooling import by_comparison, by_mean

__all__ = ["LIBRARY", "Chosen", "Form", "Place", "in_forms", "left_to_library", "places"]

LIBRARY = "library"
Form = Callable[..., Any]
Chosen = list[tuple[Any, str, Form]]
Make = Callable[[Any, tuple[int, ...]], Form | None]
# For each class the attribute that a form takes the place of, and the forms there are.
FORMS: dict[type, tuple[str, dict[str, Make]]] = {
    **dict.fromkeys(
        (layers.Conv1D, layers.Conv2D, layers.Conv3D),
        ("convolution_op", {"matrix product": matrix_product}),
    ),
    **dict.fromkeys(
        (layers.DepthwiseConv1D, layers.DepthwiseConv2D),
        ("call", {"sum of shifts": sum_of_shifts}),
    ),
    **dict.fromkeys(
        (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
        ("call", {"comparison": by_comparison}),
    ),
    **dict.fromkeys(
        (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
        ("call", {"mean": by_mean}),
    ),
}
SETTINGS = ("kernel_size", "pool_size", "strides", "padding", "dilation_rate", "depth_multiplier")


@dataclass(frozen=True)
class Place:
    """A call of a layer that can be computed in several forms.

    Attributes:
        layer: The layer.
        shape: Shape of its input, the batch first.
        forms: Name and function of each form of our own.
    """

    layer: Any
    shape: tuple[int, ...]
    forms: Mapping[str, Form]

    @property
    def attribute(self) -> str:
        """What a form takes the place of."""
        return FORMS[type(self.layer)][0]

    @property
    def key(self) -> str:
        """What the speed of its forms depends on, as text."""
        layer = self.layer
        settings = (f"{name}={getattr(layer, name)}" for name in SETTINGS if hasattr(layer, name))
        filters = getattr(layer, "filters", None)
        return f"{type(layer).__name__}{self.shape} {layer.compute_dtype} {filters} " + " ".join(
            settings
        )


def places(model: keras.Model, batch_size: int) -> list[Place]:
    """The calls of a model's layers that have forms of our own.

    A layer that is called on several shapes, or on one that is open, is left to the library, and so
    is everything on an accelerator, whose libraries are good at it.

    Args:
        model: A built model.
        batch_size: Samples a step.

    Returns:
        One place a layer.
    """
    if jax.default_backend() != "cpu":
        return []
    found: dict[int, Place] = {}
    several: set[int] = set()
    for call in LayerGraph.read(model).calls:
        layer = call.layer
        if type(layer) not in FORMS or getattr(layer, "lora_enabled", False):
            continue
        shape = (batch_size, *(n for n in call.inputs[0].shape[1:] if n is not None))
        if len(shape) < len(call.inputs[0].shape):
            several.add(id(layer))
            continue
        if id(layer) in found and found[id(layer)].shape != shape:
            several.add(id(layer))
        made = {name: make(layer, shape) for name, make in FORMS[type(layer)][1].items()}
        forms = {name: form for name, form in made.items() if form is not None}
        found[id(layer)] = Place(layer, shape, forms)
    return [place for key, place in found.items() if place.forms and key not in several]


def left_to_library(model: keras.Model, chosen: Chosen) -> bool:
    """Whether a convolution is left to XLA, which runs it on one thread inside of a loop.

    Args:
        model: A built model.
        chosen: The layers that are computed in other forms.

    Returns:
        True where there is one, and the device is a CPU.
    """
    if jax.default_backend() != "cpu":
        return False
    ours = {id(layer) for layer, _, _ in chosen}
    calls = LayerGraph.read(model).calls
    return any("conv" in type(c.layer).__name__.lower() and id(c.layer) not in ours for c in calls)


@contextmanager
def in_forms(chosen: Chosen) -> Iterator[None]:
    """A context in which layers compute in other forms; programs traced inside keep them.

    Args:
        chosen: Layer, attribute and the function that takes its place.

    Yields:
        Nothing.
    """
    for layer, attribute, form in chosen:
        object.__setattr__(layer, attribute, form)
    try:
        yield
    finally:
        for layer, attribute, _ in chosen:
            object.__delattr__(layer, attribute)
