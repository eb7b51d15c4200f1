"""In which form each layer is computed: the library's, or one of ours while a program is traced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import layers

from normcraft._core.keras_private import sublayers
from normcraft.graph import LayerGraph
from normcraft.surgery.probe import BATCH_SIZE
from normcraft.trainers.fused.convolution import Convolution, sum_of_shifts, whole_call
from normcraft.trainers.fused.device import on_cpu
from normcraft.trainers.fused.normalization import by_sums
from normcraft.trainers.fused.pooling import by_comparison, by_mean

__all__ = [
    "LIBRARY",
    "PRODUCT",
    "Chosen",
    "Form",
    "Place",
    "has_choice",
    "in_forms",
    "judged",
    "left_to_library",
    "places",
]

LIBRARY, PADDED, PRODUCT = "library", "padded library", "product"
CACHED = 16 << 20  # bytes of patches that a product reads as fast as the inputs
Form = Callable[..., Any]
Chosen = list[tuple[Any, str, Form]]
Make = Callable[[Any, tuple[int, ...]], Form | None]
CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
# For each other class the name of a form of our own, and what makes it.
FORMS: dict[type, tuple[str, Make]] = {
    **dict.fromkeys(
        (layers.DepthwiseConv1D, layers.DepthwiseConv2D), ("sum of shifts", sum_of_shifts)
    ),
    **dict.fromkeys(
        (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
        ("comparison", by_comparison),
    ),
    **dict.fromkeys(
        (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
        ("mean", by_mean),
    ),
    layers.BatchNormalization: ("sums", by_sums),
}
# Its form is for training alone, and faster at any shape: there is nothing to time.
TRAINED = (layers.BatchNormalization,)
SETTINGS = ("kernel_size", "pool_size", "strides", "padding", "dilation_rate", "depth_multiplier")


@dataclass(frozen=True)
class Place:
    """A call of a layer that can be computed in several forms.

    Attributes:
        layer: The layer.
        shape: Shape of its input, the batch first.
        own: The form of our own, by name; none for a convolution.
        convolution: The forms of its parts, where it is one.
        is_first: Whether its input is the model's, whose gradient nobody asks for.
        judges: Whether it is a convolution's in the large batches of judging, without gradients.
    """

    layer: Any
    shape: tuple[int, ...]
    own: Mapping[str, Form]
    convolution: Convolution | None = None
    is_first: bool = False
    judges: bool = False

    @property
    def attribute(self) -> str:
        """What a form takes the place of; Keras's `Conv1D` does not call its `convolution_op`."""
        is_called = self.convolution is None or isinstance(self.layer, layers.Conv1D)
        return "call" if is_called else "convolution_op"

    @property
    def key(self) -> str:
        """What the speed of its forms depends on, as text."""
        layer = self.layer
        settings = (f"{name}={getattr(layer, name)}" for name in SETTINGS if hasattr(layer, name))
        filters = getattr(layer, "filters", None)
        where = "first " * self.is_first + "judging " * self.judges
        kind = f"{where}{type(layer).__name__}{self.shape} {layer.compute_dtype} {filters}"
        return f"{kind} {' '.join(settings)}"

    @property
    def names(self) -> dict[str, list[str]]:
        """The names of the forms of each part; a layer that is no convolution is one part."""
        if self.convolution is None:
            library = [] if isinstance(self.layer, TRAINED) else [LIBRARY]
            return {"layer": [*library, *self.own]}
        names = {part: list(forms) for part, forms in self.convolution.parts.items()}
        return {"forward": names["forward"]} if self.judges else names

    @property
    def has_choice(self) -> bool:
        """Whether some part has several forms."""
        return any(len(names) > 1 for names in self.names.values())

    @property
    def judging(self) -> Place:
        """The place where trials are judged; the same one where it is no convolution."""
        if self.convolution is None:
            return self
        shape = (BATCH_SIZE, *self.shape[1:])
        convolution = Convolution(self.layer, shape)
        return replace(self, shape=shape, convolution=convolution, judges=True)

    def usual(self, *, alone: bool) -> dict[str, str]:
        """The form of each part that is fastest on most machines.

        Args:
            alone: Whether one program has several cores to itself: products use all of them.

        Returns:
            A name for each part.
        """
        if self.convolution is None:
            return {"layer": next(iter(self.own))}
        if not on_cpu():
            return dict.fromkeys(self.names, PRODUCT)
        fits = self.convolution.patches <= CACHED
        best = {
            "forward": LIBRARY if self.is_first else PADDED,
            "inputs": PRODUCT if fits or not alone else LIBRARY,
            "kernel": PRODUCT if fits and alone else "turned products",
        }
        if fits and alone and not (self.is_first or self.judges):
            best["forward"] = PRODUCT
        return {
            part: best[part] if best[part] in names else PRODUCT
            for part, names in self.names.items()
        }

    def form(self, names: Mapping[str, str]) -> Form | None:
        """What takes the place of the library's.

        Args:
            names: The name of a form for each part.

        Returns:
            A form; None for the library's own.
        """
        if self.convolution is None:
            return self.own.get(names["layer"])
        names = {**dict.fromkeys(self.convolution.parts, PRODUCT), **names}
        form = self.convolution.form(names)
        return form if self.attribute == "convolution_op" else whole_call(self.layer, form)


def places(model: keras.Model, batch_size: int) -> list[Place]:
    """The calls of a model's layers that have forms of our own.

    A layer that is called on several shapes, or on one that is open, is left to the library.

    Args:
        model: A built model.
        batch_size: Samples a step.

    Returns:
        One place a layer.
    """
    graph = LayerGraph.read(model)
    found: dict[int, Place] = {}
    several: set[int] = set()
    for call in graph.calls:
        layer = call.layer
        if type(layer) not in {*FORMS, *CONVOLUTIONS} or getattr(layer, "lora_enabled", False):
            continue
        inputs = call.inputs[0]
        shape = (batch_size, *(n for n in inputs.shape[1:] if n is not None))
        if len(shape) < len(inputs.shape):
            several.add(id(layer))
            continue
        if id(layer) in found and found[id(layer)].shape != shape:
            several.add(id(layer))
        place = _place(layer, shape)
        if place is not None:
            found[id(layer)] = replace(place, is_first=inputs in graph.inputs)
    return [place for key, place in found.items() if key not in several]


def has_choice(model: keras.Model, batch_size: int) -> bool:
    """Whether a model has layers with forms to choose from: convolutions and poolings.

    Args:
        model: A built model.
        batch_size: Samples a step.

    Returns:
        False where nothing has to be timed.
    """
    return any(place.has_choice for place in places(model, batch_size))


def judged(places: Iterable[Place]) -> list[Place]:
    """Where a model's layers have forms while trials are judged.

    Args:
        places: Those of training.

    Returns:
        The places, without those whose forms are for training alone.
    """
    return [place.judging for place in places if not isinstance(place.layer, TRAINED)]


def _place(layer: Any, shape: tuple[int, ...]) -> Place | None:
    if isinstance(layer, CONVOLUTIONS):
        can_be = Convolution.can_be(layer, shape)
        return Place(layer, shape, {}, Convolution(layer, shape)) if can_be else None
    name, make = FORMS[type(layer)]
    form = make(layer, shape)
    return None if form is None else Place(layer, shape, {name: form})


def left_to_library(model: keras.Model, chosen: Chosen) -> bool:
    """Whether a convolution is left to the library.

    Args:
        model: A built model.
        chosen: The layers that are computed in other forms.

    Returns:
        True where there is one.
    """
    ours = {id(layer) for layer, _, _ in chosen}
    called = [part for call in LayerGraph.read(model).calls for part in _within(call.layer)]
    return any("conv" in type(part).__name__.lower() and id(part) not in ours for part in called)


def _within(operation: Any) -> list[Any]:
    # What a wrapper wraps too; operations that are no layers stand alone.
    is_layer = isinstance(operation, keras.layers.Layer)
    return sublayers(operation) if is_layer else [operation]


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
