"""Labels in the coding that a model's loss wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from normcraft.data import Array, Dataset
from normcraft.graph import LayerGraph
from normcraft.trainers import loss_name

__all__ = ["fit_labels", "tells_classes"]

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
