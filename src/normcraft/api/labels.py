"""Labels and the model: the coding that its loss wants, and the sizes of a recipe for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft.data import Array, Dataset, mapping_text
from normcraft.graph import LayerGraph
from normcraft.recipes import load_recipe, recipe_sizes, recipes_for
from normcraft.trainers import loss_name

__all__ = ["build_recipe_for", "fit_labels", "tells_classes"]

ONE_HOT_LOSSES = ("categorical_crossentropy", "binary_crossentropy")
PARTS = ("y_train", "y_validation", "y_test")


def fit_labels(dataset: Dataset, model: keras.Model) -> Dataset:
    """Class labels in the coding that a model's loss wants: integers, or one-hot rows.

    Labels that do not fit the model stay as they are, and are refused where the study begins.

    Args:
        dataset: The data.
        model: A model with any number of outputs; with several, labels are left alone.

    Returns:
        The dataset, with a note where the coding changed.
    """
    graph = LayerGraph.read(model)
    units = graph.outputs[0].shape[-1] if len(graph.outputs) == 1 else None
    parts = [y for part in PARTS if (y := getattr(dataset, part)) is not None]
    if not all(isinstance(y, np.ndarray) for y in parts) or units is None or units < 2:
        return dataset
    name = loss_name(model)
    is_sparse = name in {None, "sparse_categorical_crossentropy"}
    if all(_are_classes(y, units) for y in parts):
        if name in ONE_HOT_LOSSES:
            note = f"integer labels became one-hot rows of {units}, as the model's loss asks for"
            table = np.eye(units, dtype="float32")
            return _coded(dataset, lambda y: table[y.reshape(-1).astype(int)], note)
        if is_sparse and any(y.ndim > 1 or y.dtype.kind in "fb" for y in parts):
            note = "labels became integers of shape (samples,)"
            return _coded(dataset, lambda y: y.reshape(-1).astype(np.int64), note)
    if name is not None and is_sparse and all(_is_one_hot(y) for y in parts):
        note = "one-hot labels became integers, as the model's loss asks for"
        return _coded(dataset, lambda y: y.argmax(axis=1).astype(np.int64), note)
    return dataset


def _are_classes(y: Array, units: int) -> bool:
    is_column = y.ndim == 1 or y.shape[1:] == (1,)
    return bool(is_column and y.min() >= 0 and y.max() < units and (y == y.astype(int)).all())


def _is_one_hot(y: Array) -> bool:
    is_wide = y.ndim == 2 and y.shape[1] > 1
    return bool(is_wide and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())


def _coded(dataset: Dataset, code: Callable[[Array], Array], note: str) -> Dataset:
    coded: dict[str, Any] = {
        part: code(y) for part in PARTS if (y := getattr(dataset, part)) is not None
    }
    if dataset.stream is not None:
        coded["stream"] = dataset.stream.changed("y", code)
    return replace(dataset, **coded, notes=(*dataset.notes, note))


def tells_classes(model: keras.Model, dataset: Dataset) -> bool:
    """Whether a model is trained to tell the classes of a dataset apart, not to predict numbers.

    Args:
        model: Compiled or not.
        dataset: The data.

    Returns:
        What its loss says; without one, what its output and the labels suggest.
    """
    name = loss_name(model)
    if name is not None:
        return "crossentropy" in name or "hinge" in name
    return dataset.num_classes == 2 or (
        dataset.num_classes is not None and model.outputs[0].shape[-1] != 1
    )


def build_recipe_for(name: str, dataset: Dataset) -> keras.Model:
    """A recipe in the sizes of a dataset with one array of inputs.

    Args:
        name: Name of the recipe.
        dataset: The data.

    Returns:
        The compiled model.

    Raises:
        InputError: The recipe is for other inputs or targets, or the class labels leave gaps.
    """
    if not isinstance(dataset.x_train, np.ndarray) or not isinstance(dataset.y_train, np.ndarray):
        raise InputError(
            f"the recipe {name!r} has one input and one output",
            received="several arrays of inputs or targets",
            expected="one array of each",
        )
    y, shape = dataset.y_train, dataset.x_train.shape[1:]
    if name not in recipes_for(shape):
        raise InputError(
            f"the recipe {name!r} does not take such data",
            received=f"a table of {shape[0]} columns" if len(shape) == 1 else f"samples of {shape}",
            expected="images" if len(shape) == 1 else "samples of another shape",
            hint=_instead(recipes_for(shape)),
        )
    if dataset.num_classes is not None or y.dtype.kind in "iub":
        _check_gaps(dataset, y)
        return load_recipe(name)(**recipe_sizes(name, shape, dataset.num_classes))
    if name not in recipes_for(shape, numbers=True):
        raise InputError(
            f"the recipe {name!r} tells classes apart, and the targets are numbers",
            received=f"{y.dtype} of shape {y.shape}",
            expected="class labels",
            hint=f"{_instead(recipes_for(shape, numbers=True))}; --labels map (labels='map') makes "
            "a class of every value",
        )
    num_targets = 1 if y.ndim == 1 else int(np.prod(y.shape[1:]))
    return load_recipe(name)(**recipe_sizes(name, shape, None, num_targets))


def _instead(names: tuple[str, ...]) -> str:
    if not names:
        return "give a model of your own"
    return f"recipes for it: {', '.join(names)} (normcraft compare {names[-1]} ...)"


def _check_gaps(dataset: Dataset, y: Array) -> None:
    # A recipe has one unit a class: labels from 0 without gaps, and none that training lacks.
    if y.ndim > 1 and y.shape[1:] != (1,):
        return
    values = np.unique(y)
    known = max(len(values), len(dataset.class_names or ()))
    if len(values) > 1 and values[0] >= 0 and values[-1] < known:
        return
    if len(values) == 1:
        raise InputError(
            "there is one class alone", received=f"the label {values[0]} in every sample"
        )
    raise InputError(
        "the class labels leave gaps",
        received=f"{len(values)} labels from {values[0]} to {values[-1]}",
        expected=f"0 to {len(values) - 1}",
        hint=f"--labels map (labels='map') numbers them: {mapping_text(values.tolist())}; "
        "--labels numbers predicts them as numbers",
    )
