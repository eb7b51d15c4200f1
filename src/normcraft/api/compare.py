"""compare: which placement of normalization is best for this model on this data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from normcraft.api.call import call_text
from normcraft.api.comparison import Comparison
from normcraft.api.prepare import as_dataset, model_and_data
from normcraft.api.progress import watcher
from normcraft.api.show import show
from normcraft.studies import Budget, Grid, Options, Progress, Store, Study

__all__ = ["DEFAULT_FOLDER", "compare", "run_study"]

DEFAULT_FOLDER = "normcraft-runs"


def compare(
    model: Any = "digits_cnn",
    x: Any = "digits",
    y: Any = None,
    *,
    validation_data: Any = None,
    labels: str = "auto",
    rescale: str = "auto",
    placements: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    learning_rates: Sequence[float] | None = None,
    seeds: int | Sequence[int] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    trainer: str | None = None,
    executor: str | None = None,
    workers: int | None = None,
    store: str | os.PathLike[str] | None = None,
    grid: Grid | None = None,
    budget: Budget | str | None = None,
    options: Options | None = None,
    verbose: bool = True,
) -> Comparison:
    """Trains a model with normalization in several places, in pairs, and says which is best.

    Every arm trains on the same seeds: the same initial weights wherever it shares a layer, the
    same batches, dropout and split. Scores are those with re-estimated statistics. Nothing of yours
    is changed; records go to a store that a second call continues.

    Args:
        model: A built Sequential or Functional model, a function that builds one, a recipe's name,
            a `.keras` file or `file.py:function`. Loss, metric and optimizer come from a compiled
            model, else from its output and the labels.
        x: Inputs as `Model.fit` takes them (arrays; several inputs as a list or dictionary). In
            place of `x` and `y`: the name or path of a dataset, or what `load_dataset` gave, which
            also takes the target column of a table; or what gives batches of `(x, y)` (a
            `tf.data.Dataset`, PyTorch loader, `PyDataset`, generator, or a function that makes
            one), which becomes arrays where it fits in `Options(memory_limit=...)`.
        y: Labels, one a sample.
        validation_data: `(x, y)` to validate on, or batches of them; without it each seed draws a
            fifth of the data, stratified by label.
        labels: `"auto"` takes them as they are, `"map"` makes a class of every value, `"numbers"`
            predicts them as numbers.
        rescale: `"auto"` scales integer images to [0, 1] where the model does not scale its inputs
            itself (by `Rescaling`, `Normalization` or arithmetic), `"none"` leaves them raw.
        placements: Placement expressions, for example `["none", "input+after_activation"]`.
        kinds: Kinds of normalization to insert (`"batch"`, `"layer"`, `"group"`, …).
        learning_rates: Learning rates that every arm tries; each arm is judged at its best.
        seeds: Number of seeds, or the seeds. Below 6 nothing can be told apart.
        epochs: Epochs of a trial; 10 by default.
        batch_size: Samples a step; 32 by default.
        trainer: `"fused"` (compiled programs, on JAX), `"fit"`, or `"auto"` for the first that can.
        executor: `"local"` in this process; `"processes"`: worker processes of one core each, so
            that a crash costs a trial and not the comparison; `"ray"`: on a Ray cluster, see
            `Options(ray_address=...)`; by default the faster of the first two, by measuring, where
            the fused trainer serves and the comparison is long.
        workers: Worker processes, or workers on Ray; one a core by default.
        store: SQLite file of the records; `normcraft-runs/NAME.db` by default.
        grid: Everything that can vary; the keywords above go before it.
        budget: Seeds, epochs and steps an epoch; the keywords above go before it. A text is a limit
            on what all trials take, `"10m"`, `"64trials"` or `"500epochs"`: the grid is then
            searched (docs/search.md) rather than run as a whole.
        options: Loss, metric, smallest effect and the like; the keywords above go before it.
        verbose: Whether to show progress (on stderr) and print the table at the end.

    Returns:
        The comparison: `.verdict`, `.arms`, `.best_model()`, `.code()`, `.report(path)`.

    Example:
        >>> result = compare("digits_cnn", "digits", seeds=2, epochs=1, verbose=False)
        >>> result.verdict.outcome
        'cannot_tell'
        >>> [arm.name for arm in result.arms]
        ['none', 'before_activation', 'after_activation']
    """
    command = call_text(compare, locals())
    options = options or Options()
    data = as_dataset(
        x,
        y,
        validation_data=validation_data,
        labels=labels,
        memory_limit=options.memory_limit,
        name=options.data_name,
    )
    loaded, dataset = model_and_data(model, data, rescale=rescale)
    sizes = None if batch_size is None else (batch_size,)
    study = Study(
        loaded,
        dataset,
        grid=_changed(
            grid or Grid(),
            placements=placements,
            kinds=kinds,
            learning_rates=learning_rates,
            batch_sizes=sizes,
        ),
        budget=_changed(_as_budget(budget), seeds=seeds, epochs=epochs),
        options=_changed(options, trainer=trainer, executor=executor, workers=workers),
        model_name=model if isinstance(model, str) else None,
        command=command,
    )
    comparison = run_study(study, store=store, progress=watcher() if verbose else None)
    if verbose:
        show(comparison)
    return comparison


def run_study(
    study: Study,
    *,
    store: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    report: str | None = None,
) -> Comparison:
    """Runs a planned study with its records in a file.

    Args:
        study: The study.
        store: SQLite file; `normcraft-runs/NAME.db` by default.
        progress: Who watches.
        report: Path that the report will have, for the summary.

    Returns:
        The comparison.
    """
    path = Path(store) if store is not None else Path(DEFAULT_FOLDER) / f"{study.name}.db"
    with Store(path) as opened:
        return Comparison(study.run(opened, progress=progress, report=report))


def _as_budget(budget: Budget | str | None) -> Budget:
    return Budget(limit=budget) if isinstance(budget, str) else budget or Budget()


def _changed(value: Any, **fields: Any) -> Any:
    given = {name: field for name, field in fields.items() if field is not None}
    return replace(value, **given)
