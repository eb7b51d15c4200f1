"""What a worker is made of as files, for processes that share nothing with this one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError, OutputError
from normcraft._core.keras_private import (
    DecayExclusions,
    decay_exclusions,
    exclude_from_decay,
)
from normcraft.data import Dataset, map_arrays
from normcraft.executors import OnEpoch
from normcraft.recipes import Reference
from normcraft.studies.worker import MakeWorker

__all__ = ["PackedWorker", "each_array", "pack"]

SETTINGS = ("floatx", "epsilon", "image_data_format")


@dataclass(frozen=True)
class PackedWorker:
    """Makes a worker from files; plain values alone, so it can be sent to another process.

    Attributes:
        parts: What the worker is made of, with the path of a `.keras` file in place of each model
            and, unless it is an array, of an `.npy` file in place of each array.
        own: The user's classes and functions that the models name.
        excluded: By arm what its optimizer keeps from weight decay, which is in no file.
        settings: Keras's global settings.
        policy: Its dtype policy.
    """

    parts: MakeWorker
    own: Mapping[str, Reference]
    excluded: Mapping[str, DecayExclusions | None]
    settings: Mapping[str, Any]
    policy: str

    def __call__(self, on_epoch: OnEpoch) -> Any:
        """Makes the worker; its arrays are mapped from the files, not read into memory.

        Args:
            on_epoch: Called after every epoch of a trial.

        Returns:
            A worker.
        """
        for name, value in self.settings.items():
            getattr(keras.config, f"set_{name}")(value)
        keras.config.set_dtype_policy(self.policy)
        own = {name: reference.find() for name, reference in self.own.items()}
        models = {arm: _load(path, own) for arm, path in self.parts.models.items()}
        for arm, model in models.items():
            exclude_from_decay(model, self.excluded[arm])
        initial = {arm: [*map(_opened, paths)] for arm, paths in self.parts.initial.items()}
        dataset = each_array(self.parts.dataset, _opened)
        parts = replace(self.parts, models=models, dataset=dataset, initial=initial)
        return parts(on_epoch)


def pack(parts: MakeWorker, own: Mapping[str, Any], folder: Path) -> PackedWorker:
    """Writes what a worker is made of.

    Args:
        parts: The parts.
        own: The user's classes and functions that the models name, by that name.
        folder: An empty folder for the files.

    Returns:
        What makes the worker elsewhere.

    Raises:
        InputError: If a class or function cannot be found by another process.
        OutputError: If the files cannot be written.
    """  # noqa: DOC502 - Reference.to raises it
    references = {name: Reference.to(thing) for name, thing in own.items()}
    os.environ.setdefault("KERAS_BACKEND", keras.backend.backend())
    models: dict[str, Any] = {}
    try:
        for index, (arm, model) in enumerate(parts.models.items()):
            models[arm] = str(folder / f"arm{index}.keras")
            model.save(models[arm])
        write = _Writer(folder)
        initial: Any = {arm: [*map(write, arrays)] for arm, arrays in parts.initial.items()}
        dataset = each_array(parts.dataset, write)
    except OSError as error:
        raise OutputError(
            f"what worker processes need cannot be written to {str(folder)!r}",
            received=error.strerror or str(error),
            hint="make room, put the store elsewhere, or use the executor 'local'",
        ) from error
    return PackedWorker(
        replace(parts, models=models, dataset=dataset, initial=initial, rehearsed={}),
        own=references,
        excluded={arm: decay_exclusions(model) for arm, model in parts.models.items()},
        settings={name: getattr(keras.config, name)() for name in SETTINGS},
        policy=keras.config.dtype_policy().name,
    )


class _Writer:
    # Writes arrays to numbered files; gives the path of each, or what no file can hold.
    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def __call__(self, array: Any) -> Any:
        if array.dtype.kind == "V":  # bfloat16, which NumPy writes and cannot read
            return array
        path = self._folder / f"array{self._count}.npy"
        self._count += 1
        np.save(path, array, allow_pickle=False)
        return str(path)


def each_array(dataset: Dataset, function: Any) -> Dataset:
    """The same data with a function applied to every array.

    Args:
        dataset: The data; in place of arrays there may be what stands for them.
        function: From one to another.

    Returns:
        The data.
    """
    parts = {field.name: getattr(dataset, field.name) for field in fields(dataset)}
    changed: dict[str, Any] = {
        name: map_arrays(function, value)
        for name, value in parts.items()
        if name.startswith(("x_", "y_")) and value is not None
    }
    return replace(dataset, **changed)


def _opened(array: Any) -> Any:
    return np.load(array, mmap_mode="c") if isinstance(array, str) else array


def _load(path: Any, own: Mapping[str, Any]) -> keras.Model:
    # Safe mode is off: the file is this program's own, of a model that it has built already.
    model = keras.saving.load_model(path, custom_objects=dict(own), safe_mode=False)
    if not model.compiled:
        raise InputError(
            f"model {model.name!r} loses its compile settings when it is saved",
            expected="a loss, metrics and an optimizer that Keras can save",
            hint="give the loss a get_config, or use the executor 'local'",
        )
    return model
