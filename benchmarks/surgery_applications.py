"""Surgery on every model of `keras.applications`: each pass, judged by the outputs of its copy.

    python benchmarks/surgery_applications.py [--only NAME[,NAME]] [--short]
        [--json FILE] [--table PAGE]

Models come without trained weights, at about their smallest input, with logits. Weights and
statistics are random, and outputs vary over the images: on fresh ones wrong surgery looks right.
`--json` appends one line a model and skips the models that the file has; `--table` writes the page.

`tests/surgery/test_applications.py` holds the same checks against a few models, or all of them.
The file is longer than others because preparation, checks and page belong together.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import hashlib
import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import applications, ops

from normcraft.graph import LayerGraph, is_linear, is_normalization
from normcraft.kinds import batch, kind_names
from normcraft.placements import placement_names
from normcraft.surgery import (
    EditResult,
    StatisticsProbe,
    insert_normalization,
    move_normalization,
    place,
    remove_normalization,
    replace_normalization,
    swap_activation,
)

NAMES = tuple(name for name in dir(applications) if name[0].isupper())
SMALLEST = {"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75}
SIZE, CLASSES, IMAGES, CALIBRATING = 32, 20, 24, 16
CALIBRATED = ("before_activation", "after_activation", "before_add+after_add", "input+output")
LARGEST = {"calibrated": 1e-5, "folded": 1e-4}
VARIED = VISIBLE = 1e-2

# --- models and images ----------------------------------------------------------------------------


def images(size: int, number: int = IMAGES) -> np.ndarray:
    """Random images in [0, 255] that differ in colour, contrast and pattern.

    Returns:
        Float32 of shape (number, size, size, 3).
    """
    generator = np.random.default_rng(0)
    colour = generator.uniform(40, 215, (number, 1, 1, 3))
    contrast = generator.uniform(10, 80, (number, 1, 1, 1))
    coarse = generator.normal(0, 1, (number, 4, 4, 3)).repeat(-(-size // 4), 1)
    coarse = coarse.repeat(-(-size // 4), 2)[:, :size, :size]
    fine = generator.normal(0, 0.3, (number, size, size, 3))
    return np.clip(colour + contrast * (coarse + fine), 0, 255).astype("float32")


def draw(layer: Any, generator: np.random.Generator) -> None:
    """Draws weights of a layer: kernels as He et al. (2015), scales and shifts around one.

    With shifts around zero a deep network of random weights is chaotic: it magnifies the rounding
    of its own input a thousandfold, in which differences would be lost.
    """
    for variable in layer._trainable_variables:
        shape = variable.shape
        if len(shape) > 1:
            value = generator.normal(0, np.sqrt(2 / fan_in(layer, variable)), shape)
        elif variable.name == "beta":
            value = generator.normal(1, 0.2, shape)
        elif is_linear(layer):
            value = generator.normal(0, 0.2, shape)
        elif is_normalization(layer):
            value = generator.uniform(0.5, 1.5, shape)
        else:  # the scale of a residual branch
            value = generator.uniform(0.1, 0.5, shape)
        variable.assign(value.astype("float32"))


def fan_in(layer: Any, kernel: Any) -> int:
    """How many values of its input each output of a kernel sums.

    Returns:
        A whole number.
    """
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    depthwise |= kernel is getattr(layer, "depthwise_kernel", None)
    return int(np.prod(kernel.shape[:2] if depthwise else kernel.shape[:-1]))


def randomise(model: keras.Model, x: np.ndarray) -> None:
    """Gives a model random weights, and statistics that its data have, times random factors."""
    generator = np.random.default_rng(1)
    for layer in model._flatten_layers():
        draw(layer, generator)
    StatisticsProbe(model).update(x)
    for layer in filter(batch.matches, model._flatten_layers()):
        mean, variance = batch.statistics(layer)
        shake = generator.uniform(0.8, 1.25, (2, len(mean)))
        batch.set_statistics(layer, mean * shake[0], variance * shake[1])


@dataclasses.dataclass
class Case:
    """A model with images, its outputs on them, and the laws that did not hold.

    Attributes:
        name: Name of the function in `keras.applications`.
        model: The model.
        x: Images.
        y: Logits of the model.
        rounding: How far they move when each value of the images moves by one unit in its last
            place: what two correct computations may be apart.
        short: Whether the case is held to a shorter list of insertions.
        broken: What was wrong, in words.
    """

    name: str
    model: keras.Model
    x: np.ndarray
    y: np.ndarray
    rounding: float
    short: bool = False
    broken: list[str] = dataclasses.field(default_factory=list)

    @classmethod
    def build(cls, name: str) -> Case:
        """A model of `keras.applications` by its name.

        Returns:
            The case.
        """
        size = SMALLEST.get(name, SIZE)
        model = getattr(applications, name)(
            weights=None,
            input_shape=(size, size, 3),
            classes=CLASSES,
            classifier_activation=None,
        )
        return cls.of(name, model)

    @classmethod
    def of(cls, name: str, model: keras.Model) -> Case:
        """A model, which is given random weights here.

        Returns:
            The case.
        """
        x = images(model.input_shape[1])
        randomise(model, x)
        towards = np.random.default_rng(2).choice(np.array([-1e3, 1e3], "float32"), x.shape)
        y = outputs(model, x)
        rounding = difference(y, outputs(model, np.nextafter(x, towards)))
        return cls(name, model, x, y, rounding)

    @property
    def normalization(self) -> list[Any]:
        """Normalization layers of the model."""
        return [layer for layer in self.model._flatten_layers() if is_normalization(layer)]

    def outputs(self, result: EditResult) -> np.ndarray:
        """Outputs of an edited copy, whose shape and finiteness are checked on the way."""
        self.require(result.model.output_shape == self.model.output_shape, "the shape changed")
        y = outputs(result.model, self.x)
        self.require(bool(np.isfinite(y).all()), "outputs are not finite")
        return y

    def bound(self, law: str) -> float:
        """The largest difference that a law allows.

        Returns:
            That of `LARGEST`, or five times what rounding does, where that is more.
        """
        return max(LARGEST[law], 5 * self.rounding)

    def require(self, holds: bool, complaint: str) -> None:
        """Notes a complaint where a law does not hold."""
        if not holds:
            self.broken.append(complaint)


def outputs(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Outputs at inference, layer by layer: the same numbers for the same operations.

    Returns:
        An array.
    """
    return np.array(ops.convert_to_numpy(model(x, training=False)))


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """max|a − b| / max|a|.

    Returns:
        0 where the two are equal.
    """
    return float(np.max(np.abs(a.astype("float64") - b)) / np.max(np.abs(a)))


def digest(model: keras.Model) -> str:
    """Configuration, flags and weights of a model in one word.

    Returns:
        A hash.
    """
    seen = hashlib.sha256(json.dumps(model.get_config(), default=repr, sort_keys=True).encode())
    seen.update(repr([layer.trainable for layer in model._flatten_layers()]).encode())
    for variable in model.variables:
        seen.update(np.ascontiguousarray(ops.convert_to_numpy(variable)))
    return seen.hexdigest()


def reasons(pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    """How often each reason was given, names of layers left out.

    Returns:
        Counts by reason.
    """
    return dict(Counter(re.sub(r"'[^']+'", "…", reason) for _, reason in pairs).most_common())


# --- checks: each says in its docstring which law it holds the case to --------------------------


def check_preparation(case: Case) -> dict[str, Any]:
    """Logits are finite and vary over the images."""
    variation = float(np.std(case.y, axis=0).mean() / np.abs(case.y).mean())
    case.require(bool(np.isfinite(case.y).all()), "the logits are not finite")
    case.require(variation > VARIED, f"the logits hardly vary: {variation:.2g}")
    calls = [call for call in LayerGraph.read(case.model).calls if not call.is_input]
    return {
        "variation": variation,
        "rounding": case.rounding,
        "calls": len(calls),
        "weights": case.model.count_params(),
        "normalization": len(case.normalization),
    }


def check_copy(case: Case) -> dict[str, Any]:
    """An untouched copy computes the same, bit for bit."""
    result = insert_normalization(case.model, "as_given")
    case.require(not result.modified, "something was changed")
    moved = difference(case.y, case.outputs(result))
    case.require(moved == 0, f"the copy differs by {moved:.2g}")
    return {"difference": moved}


def arms(*, short: bool) -> list[tuple[str, str]]:
    """Placements and kinds that are inserted.

    Args:
        short: Whether two of them have to do.

    Returns:
        `(placement, kind)`.
    """
    if short:
        return [("before_activation", "batch"), ("before_activation", "group")]
    elsewhere = {"as_given", "none"}  # held to more by check_copy and check_drop
    placements = [name for name in placement_names() if name not in elsewhere]
    kinds = [kind for kind in kind_names() if kind != "batch"]
    return [(name, "batch") for name in placements] + [("before_activation", k) for k in kinds]


def check_insert(case: Case) -> dict[str, Any]:
    """At every placement, and of every kind, outputs stay finite and keep their shape.

    Before activations every call of a Dense or convolution is edited or refused with a reason.
    """
    linear = sum(is_linear(call.layer) for call in LayerGraph.read(case.model).calls)
    found = {}
    for placement, kind in arms(short=case.short):
        result = insert_normalization(case.model, placement, kind=kind)
        case.outputs(result)
        added = sum(map(is_normalization, result.model._flatten_layers()))
        case.require(
            added == len(result.inserted), f"{placement} {kind}: {added} layers were added"
        )
        if placement == "before_activation":
            seen = len(result.inserted) + len(result.skipped)
            case.require(seen == linear, f"{kind}: {seen} sites, {linear} Dense or convolutions")
        found[f"{placement} {kind}"] = {
            "inserted": len(result.inserted),
            "refused": reasons(result.skipped),
            "removed": len(result.removed),
        }
    return found


def check_calibrated(case: Case) -> dict[str, Any]:
    """A calibrated insertion is an identity at inference, also saved and loaded by plain Keras.

    The identity holds for all images, not only for those of the calibration.
    """
    found = {}
    for placement in CALIBRATED[: 1 if case.short else None]:
        result = insert_normalization(case.model, placement, calibrate=case.x[:CALIBRATING])
        moved = difference(case.y, case.outputs(result))
        worst = max(moved, result.inference_difference)
        case.require(worst <= case.bound("calibrated"), f"{placement}: moved by {worst:.2g}")
        if placement == "before_activation":
            check_saved(case, result.model)
        found[placement] = {
            "difference": moved,
            "own_difference": result.inference_difference,
            "training_difference": result.training_difference,
            "inserted": len(result.inserted),
            "folded": result.folded,
            "kept": reasons(result.kept),
        }
    return found


def check_saved(case: Case, model: keras.Model) -> None:
    """An edited copy, saved and loaded by plain Keras, computes the same, bit for bit."""
    case.require("normcraft" not in model.to_json(), "the copy needs normcraft to load")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edited.keras"
        model.save(path)
        loaded = keras.saving.load_model(path, custom_objects=own_classes(case.model))
    moved = difference(outputs(model, case.x), outputs(loaded, case.x))
    case.require(moved == 0, f"the loaded copy differs by {moved:.2g}")


def own_classes(model: keras.Model) -> dict[str, type]:
    """Classes of `keras.applications` that Keras loads only when they are named.

    Returns:
        Classes by name.
    """
    classes = {type(layer) for layer in model._flatten_layers()}
    return {cls.__name__: cls for cls in classes if ".applications." in cls.__module__}


def check_drop(case: Case) -> dict[str, Any]:
    """Without its normalization a model has none, and computes something visibly else."""
    result = insert_normalization(case.model, "none")
    moved = difference(case.y, case.outputs(result))
    again = case.outputs(remove_normalization(case.model))
    case.require(difference(again, outputs(result.model, case.x)) == 0, "two ways differ")
    left = [layer for layer in result.model._flatten_layers() if is_normalization(layer)]
    case.require(not left, f"{len(left)} normalization layers are left")
    visible = moved > VISIBLE if case.normalization else moved == 0
    case.require(visible, f"without normalization outputs moved by {moved:.2g}")
    return {"difference": moved, "removed": len(result.removed)}


def check_insert_then_drop(case: Case) -> dict[str, Any]:
    """Where biases are zero, dropping what was inserted gives what dropping all gave."""
    model = place(case.model, "as_given").model
    for layer in filter(is_linear, model._flatten_layers()):
        if layer.use_bias:
            layer.bias.assign(np.zeros(layer.bias.shape))
    dropped = case.outputs(remove_normalization(model))
    inserted = insert_normalization(model, "before_activation").model
    moved = difference(dropped, case.outputs(remove_normalization(inserted)))
    case.require(moved == 0, f"inserted and dropped again: {moved:.2g}")
    return {"difference": moved}


def check_fold(case: Case) -> dict[str, Any]:
    """Folding keeps outputs and folds or lists every normalization."""
    result = remove_normalization(case.model, mode="fold")
    moved = difference(case.y, case.outputs(result))
    case.require(moved <= case.bound("folded"), f"outputs moved by {moved:.2g}")
    left = [layer for layer in result.model._flatten_layers() if is_normalization(layer)]
    case.require(result.folded == len(case.normalization) - len(left), "the count of folds is off")
    return {"difference": moved, "folded": result.folded, "kept": reasons(result.kept)}


def check_replace(case: Case) -> dict[str, Any]:
    """To group normalization and back: other outputs, the same learned scales and shifts."""
    grouped = replace_normalization(case.model, "group")
    back = replace_normalization(grouped.model, "batch")
    learned = [learned_values(model) for model in (case.model, grouped.model, back.model)]
    case.require(learned[0] == learned[1] == learned[2], "learned values were lost")
    moved = [difference(case.y, case.outputs(result)) for result in (grouped, back)]
    if grouped.replaced:
        case.require(min(moved) > VISIBLE, f"replaced, outputs moved by {min(moved):.2g}")
    return {
        "to_group": len(grouped.replaced),
        "kept": reasons(grouped.kept),
        "to_batch": len(back.replaced),
        "difference": moved[0],
    }


def learned_values(model: keras.Model) -> dict[tuple[str, str], str]:
    """Learned scales and shifts of normalization.

    Returns:
        A hash of each by the names of layer and weight.
    """
    normalization = filter(is_normalization, model._flatten_layers())
    return hashes(pair for layer in normalization for pair in own_weights(layer, trainable=True))


def own_weights(layer: Any, *, trainable: bool = False) -> list[tuple[str, Any]]:
    """What a layer holds itself, layers inside it left out.

    Returns:
        Pairs of the layer's name and a variable.
    """
    rest = [] if trainable else layer._non_trainable_variables
    return [(layer.name, variable) for variable in (*layer._trainable_variables, *rest)]


def hashes(pairs: Iterable[tuple[str, Any]]) -> dict[tuple[str, str], str]:
    """Hashes of weights by the names of layer and weight."""
    return {
        (name, variable.name): hashlib.sha256(
            np.ascontiguousarray(ops.convert_to_numpy(variable))
        ).hexdigest()
        for name, variable in pairs
    }


def check_move(case: Case) -> dict[str, Any]:
    """Normalization moved behind the activation keeps its weights, as do all other layers."""
    result = move_normalization(case.model, "after_activation")
    case.outputs(result)
    before, after = (
        hashes(pair for layer in model._flatten_layers() for pair in own_weights(layer))
        for model in (case.model, result.model)
    )
    lost = [names for names, value in before.items() if after.get(names) != value]
    case.require(not lost, f"{len(lost)} weights were lost, for example of {lost[:1]}")
    total = len(result.moved) + len(result.kept)
    case.require(total == len(case.normalization), "some were neither moved nor kept")
    return {"moved": len(result.moved), "kept": reasons(result.kept)}


def check_swap(case: Case) -> dict[str, Any]:
    """With another activation outputs are others; where none was swapped, the same."""
    result = swap_activation(case.model, "gelu")
    moved = difference(case.y, case.outputs(result))
    changed = moved > 0 if result.activations_replaced else moved == 0
    case.require(changed, f"{result.activations_replaced} swapped, outputs moved by {moved:.2g}")
    return {"swapped": result.activations_replaced, "difference": moved}


CHECKS: tuple[Callable[[Case], dict[str, Any]], ...] = (
    check_preparation,
    check_copy,
    check_insert,
    check_calibrated,
    check_drop,
    check_insert_then_drop,
    check_fold,
    check_replace,
    check_move,
    check_swap,
)


def run(name: str, *, short: bool = False) -> dict[str, Any]:
    """Holds one model to every law.

    Args:
        name: The model.
        short: Whether to a shorter list of insertions.

    Returns:
        Figures of each check, and the laws that did not hold.
    """
    started = time.perf_counter()
    case = dataclasses.replace(Case.build(name), short=short)
    before, figures = digest(case.model), {}
    for check in CHECKS:
        if short and check is check_insert_then_drop:
            continue
        title = check.__name__.removeprefix("check_")
        known = len(case.broken)
        try:
            figures[title] = check(case)
        except Exception as error:  # a pass that fails on one model is a finding too
            case.broken.append(f"{type(error).__name__}: {error}")
        gc.collect()
        case.broken[known:] = [f"{title}: {complaint}" for complaint in case.broken[known:]]
    case.require(digest(case.model) == before, "the input model was changed")
    return {
        "model": name,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "size": case.x.shape[1],
        "short": short,
        "seconds": round(time.perf_counter() - started),
        "broken": case.broken,
        "figures": figures,
    }


# --- the page -------------------------------------------------------------------------------------

COLUMNS = (
    *("model", "calls", "Dense, conv", "edited", "refused", "normalization", "folded", "kept"),
    *("calibrated", "fold", "rounding"),
)
PAGE = """# Surgery on every model of `keras.applications`

{number} of the {all} models of Keras {keras} on {backend} in float32: random weights, moving
statistics near those of {images} random images, {classes} logits that vary over the images. Passes
were judged by the outputs of their copies; {verdict}. All figures are measured, by

```bash
KERAS_BACKEND={backend} python benchmarks/surgery_applications.py \\
    --json applications.jsonl --table docs/applications.md
```

{table}

- *Dense, conv*: calls of Dense and convolutions. *Edited*: those that `before_activation` puts
  normalization behind; *refused*: the others.
- *Normalization*: layers that the model has. Of these, `remove_normalization(mode="fold")` *folded*
  some and *kept* the others.
- *Calibrated*: max|a − b| / max|a| of the outputs at inference, the largest over insertions at
  {calibrated},
  each calibrated on {calibrating} of the images and compared on all.
- *Fold*: the same for folding. *Rounding*: the same for the model itself when every value of the
  images moves by one unit in its last place: two correct computations may be that far apart.
- Reasons: {reasons}.

{short}## The laws

{laws}

A difference may be {limits}, or five times that of rounding where that is more.
"""


SHORT = """\\* Held to a shorter list (`--short`): insertion of batch and group normalization before
activations, calibration there, and all other passes but insertion followed by removal.

"""


def table(records: list[dict[str, Any]]) -> str:
    """The page about all models that were run.

    Returns:
        Markdown.
    """
    letters: dict[str, str] = {}
    rows = [row(record, letters) for record in records]
    lines = ["| " + " | ".join(cells) + " |" for cells in (COLUMNS, *rows)]
    lines.insert(1, "|---" + "|---:" * (len(COLUMNS) - 1) + "|")
    broken = [
        f"{record['model']} ({'; '.join(record['broken'])})"
        for record in records
        if record["broken"]
    ]
    return PAGE.format(
        number=len(records),
        all=len(NAMES),
        keras=records[0]["keras"],
        backend=records[0]["backend"],
        images=IMAGES,
        calibrating=CALIBRATING,
        classes=CLASSES,
        verdict="not all laws below held: " + ", ".join(broken)
        if broken
        else "all laws below held",
        table="\n".join(lines),
        calibrated=", ".join(f"`{placement}`" for placement in CALIBRATED),
        reasons="; ".join(f"({letter}) {reason}" for reason, letter in letters.items()),
        short=SHORT if any(record.get("short") for record in records) else "",
        laws="\n".join(f"- {check.__doc__.splitlines()[0]}" for check in CHECKS),
        limits=", ".join(f"{limit:.0e} where {law}" for law, limit in LARGEST.items()),
    )


def row(record: dict[str, Any], letters: dict[str, str]) -> list[str]:
    """The row of one model.

    Args:
        record: What `run` gave.
        letters: Letters of the reasons so far; new reasons get the next.

    Returns:
        Cells.
    """
    figures = record["figures"]
    inserted, folded = figures["insert"]["before_activation batch"], figures["fold"]
    refused = sum(inserted["refused"].values())
    worst = max(found["difference"] for found in figures["calibrated"].values())
    rounding = figures["preparation"]["rounding"]
    return [
        record["model"] + " \\*" * record.get("short", False),
        str(figures["preparation"]["calls"]),
        str(inserted["inserted"] + refused),
        str(inserted["inserted"]),
        short(inserted["refused"], letters),
        str(figures["preparation"]["normalization"]),
        str(folded["folded"]),
        short(folded["kept"], letters),
        *(f"{value:.1e}" for value in (worst, folded["difference"], rounding)),
    ]


def short(counts: dict[str, int], letters: dict[str, str]) -> str:
    """Counts with a letter for each reason.

    Returns:
        For example `3 a, 1 b`; 0 for none.
    """
    for reason in counts:
        letters.setdefault(reason, chr(ord("a") + len(letters)))
    return ", ".join(f"{count} {letters[reason]}" for reason, count in counts.items()) or "0"


def without_compilation() -> None:
    """Lets TensorFlow run operations one by one: most models run but a few times."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.run_functions_eagerly(True)


def main() -> None:
    """Parses, runs, prints and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(NAMES), help="names joined by commas")
    parser.add_argument("--json", type=Path, help="one line a model; models in it are skipped")
    parser.add_argument("--short", action="store_true", help="fewer insertions, for large models")
    parser.add_argument("--table", type=Path, help="page to write")
    arguments = parser.parse_args()
    without_compilation()
    written = arguments.json and arguments.json.exists() and arguments.json.read_text("utf-8")
    records = [json.loads(line) for line in (written or "").splitlines()]
    for name in arguments.only.split(","):
        if name in {record["model"] for record in records}:
            continue
        records.append(run(name, short=arguments.short))
        print(
            name, records[-1]["seconds"], "s", records[-1]["broken"] or "all laws held", flush=True
        )
        if arguments.json:
            with arguments.json.open("a", encoding="utf-8") as file:
                file.write(json.dumps(records[-1]) + "\n")
        keras.utils.clear_session(free_memory=True)
    records.sort(key=lambda record: NAMES.index(record["model"]))
    page = table(records)
    print(page)
    if arguments.table:
        arguments.table.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
