"""train_and_test: the experiment of the blog post in the seeds, again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from normcraft._core.errors import InputError
from normcraft.api.call import call_text
from normcraft.api.compare import run_study
from normcraft.api.comparison import Comparison
from normcraft.api.prepare import as_dataset, fit_to_model
from normcraft.api.progress import watcher
from normcraft.api.show import show
from normcraft.recipes import load_recipe
from normcraft.studies import Budget, Grid, Options, Study

__all__ = ["train_and_test"]

NORMALIZED = "before_activation+output"


def train_and_test(
    learning_rate: float,
    activation: str,
    epochs: int = 3,
    steps_per_epoch: int | None = 1875,
    *,
    data: Any = "mnist",
    seeds: int | Sequence[int] = (0,),
    replay: bool = True,
    store: str | os.PathLike[str] | None = None,
    verbose: bool = True,
) -> Comparison:
    """Trains the blog's network with and without batch normalization, side by side.

    Three convolutions and two Dense layers, batches of 32, Adam; the normalized arm has batch
    normalization before every activation and on the logits, as the blog has it.

    Args:
        learning_rate: Adam's learning rate (the blog: .001, .01, .05).
        activation: Of all hidden layers (the blog: `"relu"`, `"sigmoid"`).
        epochs: Epochs.
        steps_per_epoch: Batches of 32 in an epoch; 1875 are the whole training set.
        data: `"mnist"`, another dataset's name, the path of an `.npz` with `x_train`, `y_train`,
            `x_test`, `y_test`, or a `Dataset`.
        seeds: Number of seeds, or the seeds.
        replay: As the blog did: all training images in their own order, and validation on the
            *test* set. False shuffles, and validates on a fifth of the training data.
        store: SQLite file of the records; `normcraft-runs/NAME.db` by default.
        verbose: Whether to show progress and print the table at the end.

    Returns:
        The comparison of `none` and `before_activation+output`; `.report(path)` draws both curves.

    Example:
        >>> result = train_and_test(0.001, "relu", 1, 3, data=small_mnist, verbose=False)
        >>> [(arm.name, arm.parameters) for arm in result.arms]
        [('none', 93322), ('before_activation+output', 94024)]
    """
    command = call_text(train_and_test, locals())
    model = load_recipe("blog_cnn")(activation=activation, learning_rate=learning_rate)
    dataset = fit_to_model(as_dataset(data, None), model)
    if replay:
        dataset = _validated_on_test(dataset)
    study = Study(
        model,
        dataset,
        grid=Grid(placements=("none", NORMALIZED), batch_sizes=(32,)),
        budget=Budget(seeds, epochs, steps_per_epoch),
        options=Options(shuffle=not replay),
        model_name=f"blog_cnn({activation}, {learning_rate:g})",
        command=command,
    )
    comparison = run_study(study, store=store, progress=watcher() if verbose else None)
    if verbose:
        show(comparison)
    return comparison


def _validated_on_test(dataset: Any) -> Any:
    if dataset.x_test is None:
        raise InputError(
            f"a replay validates on test data, and {dataset.name!r} has none",
            expected="data with x_test and y_test",
            hint="pass replay=False",
        )
    note = "replay: batches in the data's own order, validation on the test set"
    return replace(
        dataset,
        x_validation=dataset.x_test,
        y_validation=dataset.y_test,
        x_test=None,
        y_test=None,
        notes=(*dataset.notes, note),
    )
