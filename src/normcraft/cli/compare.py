"""`normcraft compare`: the main job."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normcraft._core.backend import require_backend
from normcraft._core.errors import InputError
from normcraft._core.files import check_apart, write_atomically
from normcraft.cli._model_file import MODEL_HELP, Rescale, Target, check_model_output
from normcraft.cli._report_page import report_page

if TYPE_CHECKING:
    from normcraft.api import Comparison

__all__ = ["compare"]

DATA_HELP = (
    "digits, mnist, fashion_mnist, cifar10, cifar100; an .npz file with x_train, y_train "
    "[x_test, y_test]; a .csv file with --target; or a folder of class folders of images."
)
LABELS_HELP = "auto; map: a class for every value, from 0; numbers: predict them as numbers."


def compare(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)] = "digits_cnn",
    data: Annotated[str, typer.Option(help=DATA_HELP)] = "digits",
    target: Target = None,
    labels: Annotated[str, typer.Option(help=LABELS_HELP)] = "auto",
    placements: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated, + joins, for example none,input+after_activation; auto: all."
        ),
    ] = None,
    kinds: Annotated[str, typer.Option(help="Kinds of normalization, comma-separated.")] = "batch",
    activations: Annotated[
        str | None, typer.Option(help="Hidden activations to swap in, comma-separated.")
    ] = None,
    learning_rates: Annotated[
        str | None, typer.Option(help="Tried by every arm, comma-separated.")
    ] = None,
    batch_sizes: Annotated[str, typer.Option(help="Comma-separated.")] = "32",
    epochs: Annotated[int, typer.Option(help="Epochs of a trial.")] = 10,
    steps_per_epoch: Annotated[
        int | None, typer.Option(help="Steps in an epoch; all batches by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Paired seeds; under 6 nothing can be told.")] = 8,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Search in place of the full grid within 10m, 64trials or 500epochs, for example."
        ),
    ] = None,
    initial: Annotated[
        str, typer.Option(help="reinitialize: weights from each seed; keep: the model's own.")
    ] = "reinitialize",
    loss: Annotated[str | None, typer.Option(help="A Keras loss by name.")] = None,
    metric: Annotated[str | None, typer.Option(help="The Keras metric that judges.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="A Keras optimizer by name.")] = None,
    class_weight: Annotated[
        str | None,
        typer.Option(help="Of the training loss: balanced, or CLASS=WEIGHT, comma-separated."),
    ] = None,
    rescale: Rescale = "auto",
    smallest_effect: Annotated[
        float | None,
        typer.Option(help="Difference that counts as none, in the metric's unit (0.005)."),
    ] = None,
    trainer: Annotated[
        str, typer.Option(help="How a trial is trained: fused (on JAX), fit, or auto.")
    ] = "auto",
    executor: Annotated[
        str,
        typer.Option(
            help="Where trials run: local, processes of one core each, the faster (auto), or ray."
        ),
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="With --executor processes or ray: how many; one a core.")
    ] = None,
    trial_timeout: Annotated[
        float | None,
        typer.Option(help="With --executor processes or ray: after so many a trial is given up."),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(help="With --executor ray: auto, host:port or ray://host:port; else here."),
    ] = None,
    worker_resources: Annotated[
        str | None,
        typer.Option(help="With --executor ray: what each worker takes, as in CPU=1,GPU=0.5."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="SQLite file of the records; a rerun continues it.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="HTML report; beside the store by default.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the best model here (.keras).")
    ] = None,
    imports: Annotated[
        list[str] | None, typer.Option("--import", help="Module with custom layers; repeatable.")
    ] = None,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Load model files that carry code (Lambda layers).")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show tracebacks.")] = False,
) -> int:
    """Train a model with normalization in several places and say which is best.

    Without arguments it compares three placements in a small CNN on handwritten digits, in about a
    minute.

    Example: normcraft compare my_model.keras --data train.npz --seeds 8 -o best.keras

    Example: normcraft compare tabular_mlp --data wine.csv --target quality
    """
    require_backend()
    if output is not None:
        check_model_output(output, force=force)
    from normcraft.api.compare import DEFAULT_FOLDER, run_study
    from normcraft.api.prepare import as_dataset, model_and_data
    from normcraft.api.progress import watcher
    from normcraft.api.show import show
    from normcraft.studies import Budget, Grid, Options, Study

    grid = Grid(
        placements=_words("placements", placements),
        kinds=_words("kinds", kinds) or (),
        activations=_words("activations", activations),
        learning_rates=_numbers("learning rates", learning_rates),
        batch_sizes=tuple(int(n) for n in _numbers("batch sizes", batch_sizes, whole=True) or ()),
    )
    options = Options(
        loss=loss,
        metric=metric,
        optimizer=optimizer,
        class_weight=_class_weight(class_weight),
        trainer=trainer,
        executor=executor,
        workers=workers,
        trial_timeout=trial_timeout,
        ray_address=ray_address,
        worker_resources=_resources(worker_resources),
        initial=initial,
        smallest_effect=smallest_effect,
    )
    loaded, dataset = model_and_data(
        model,
        as_dataset(data, None, target=target, labels=labels),
        imports=imports or (),
        unsafe=unsafe,
        rescale=rescale,
    )
    study = Study(
        loaded,
        dataset,
        grid=grid,
        budget=Budget(seeds, epochs, steps_per_epoch, budget),
        options=options,
        model_name=_short(model),
        command=shlex.join(["normcraft", *sys.argv[1:]]),
    )
    store = store or Path(DEFAULT_FOLDER) / f"{study.name}.db"
    page = report_page(report, store, force=force)
    inputs = {
        name: path for name, path in (("model", model), ("data", data)) if Path(path).exists()
    }
    check_apart(store=store, report=page, output=output, **inputs)
    comparison = run_study(study, store=store, progress=watcher(), report=str(page))
    _write(comparison, page, output, force=force)
    if as_json:
        print(json.dumps(comparison.document()))
    else:
        show(comparison)
    return 0 if comparison.best is not None else 1


def _short(model: str) -> str:
    """A path without its folders and suffix; names stay."""
    path, colon, function = model.rpartition(":")
    if colon and (path.endswith(".py") or "/" in path):
        return f"{Path(path).stem}_{function}"
    return Path(model).stem if model.endswith(".keras") else model


def _words(what: str, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        problem = "lacks an entry" if any(words) else "is empty"
        raise InputError(
            f"{what} {problem}", received=repr(text), expected="one or more, with commas between"
        )
    return words


def _numbers(what: str, text: str | None, *, whole: bool = False) -> tuple[float, ...] | None:
    words = _words(what, text)
    if words is None:
        return None
    try:
        return tuple(int(word) if whole else float(word) for word in words)
    except ValueError as error:
        noun = "whole numbers" if whole else "numbers"
        raise InputError(
            f"bad {what}", received=repr(text), expected=f"{noun} with commas between"
        ) from error


def _resources(text: str | None) -> dict[str, float] | None:
    words = _words("worker resources", text)
    if words is None:
        return None
    pairs = [word.partition("=")[::2] for word in words]
    try:
        found = {name: float(amount) for name, amount in pairs}
    except ValueError as error:
        raise _bad_resources(text) from error
    if len(found) < len(pairs) or not all(found):
        raise _bad_resources(text)
    return found


def _bad_resources(text: str | None) -> InputError:
    return InputError(
        "bad worker resources",
        received=repr(text),
        expected="an amount for each of Ray's names once, as in CPU=1,GPU=0.5",
    )


def _class_weight(text: str | None) -> dict[int, float] | str | None:
    words = _words("class weight", text) or ()
    pairs = [word.partition("=")[::2] for word in words]
    if text is None or "=" not in text:
        return text
    try:
        weights = {int(number): float(weight) for number, weight in pairs}
    except ValueError as error:
        raise _bad_class_weight(text) from error
    if len(weights) < len(pairs):
        raise _bad_class_weight(text)
    return weights


def _bad_class_weight(text: str) -> InputError:
    return InputError(
        "bad class weight",
        received=repr(text),
        expected="balanced, or a number for each class once, as in 0=1,1=2.5",
    )


def _write(comparison: Comparison, page: Path, output: Path | None, *, force: bool) -> None:
    write_atomically(page, comparison.html(), force=True)
    if output is not None and comparison.best is not None:
        write_atomically(output, comparison.best_model_path.read_bytes(), force=force)
