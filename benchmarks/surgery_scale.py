"""Surgery on large models against Keras's own `clone_model`; interleaved, medians of ratios.

    python benchmarks/surgery_scale.py [--only wide] [--rounds 5] [--json]

Models: ResNet152 and EfficientNetB7 without trained weights, and generated graphs of 500 to 5000
nodes: `wide` (one input, parallel branches that are added) and `nested` (models within models, four
levels). A node is a call as `LayerGraph` counts them, nested models opened. `depth` checks that
models deeper than Keras can build are refused in one line.

Each round does on the same model, one after the other: `clone_model`, and for every edit the edit,
`clone_model` of its result, and `set_weights` on that. Seconds are of the process's CPU; the ratio
on the wall clock stands beside. The first round is left out, as it fills caches, and what lived
before a measurement is kept from the garbage collector during it.

Goals: the total within 1.5 times `clone_model`; our own part linear in nodes (an exponent of at
most 1.15 over the sizes). The ratio that is held against the goal, `ratio`, is that to
`clone_model` of the edit's result: it makes the same layers (and copies no weights, which every
edit does). `to original` is the ratio to `clone_model` of the model before the edit, which an
insertion that doubles the layers cannot hold.

Our own part is the total without Keras's construction: layers and models made from arguments or
configuration, called and built, and variables assigned. Those entry points are wrapped by a
stopwatch of which only the outermost counts, for clones and edits alike. All else is ours: also
what Keras does to answer our questions (`get_config`, `weights`), and the stopwatch itself.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import inspect
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from normcraft._core.errors import SurgeryError
from normcraft.graph import LayerGraph
from normcraft.surgery import insert_normalization, place, remove_normalization

SIZES = (500, 1000, 2500, 5000)
GOALS = {"ratio": 1.5, "exponent": 1.15}
EDITS: dict[str, Callable[[keras.Model], Any]] = {
    "as_given": lambda model: place(model, "as_given"),
    "insert": lambda model: insert_normalization(model, "before_activation"),
    "remove": remove_normalization,
}
ENTRIES = ("__new__", "__init__", "__call__", "from_config")
COLUMNS = (
    *("model", "nodes", "edit", "nodes made", "clone of original", "clone", "set_weights"),
    *("total", "ratio", "on the wall", "to original", "own", "own, microseconds a node"),
)


def wide(nodes: int) -> keras.Model:
    """One input, branches of four nodes, and their sum.

    Returns:
        A model of about so many nodes.
    """
    entry = keras.Input((8,))
    branches = [_block(entry) for _ in range((nodes - 3) // 4)]
    return keras.Model(entry, layers.Dense(2)(layers.Add()(branches)))


def nested(nodes: int, levels: int = 3) -> keras.Model:
    """Models within models, in a chain at each level, blocks of four nodes at the bottom.

    Returns:
        A model of about so many nodes.
    """
    entry = x = keras.Input((8,))
    parts = round((nodes / 4) ** (1 / levels)) if levels else 0
    for part in range(parts):
        own = nodes * (part + 1) // parts - nodes * part // parts
        x = nested(own, levels - 1)(x)
    return keras.Model(entry, x if parts else _block(x))


def _block(x: Any) -> Any:
    x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(8, use_bias=False)(x)))
    return layers.Dense(8, activation="relu")(x)


def chain(depth: int) -> keras.Model:
    """Layers one behind the other.

    Returns:
        A model of so many layers and one for normalization.
    """
    entry = keras.Input((4,))
    x = layers.BatchNormalization()(entry)
    for _ in range(depth):
        x = layers.Dense(4, activation="relu")(x)
    return keras.Model(entry, x)


def tower(levels: int) -> keras.Model:
    """Models one inside the other.

    Returns:
        A model of so many levels.
    """
    entry = keras.Input((4,))
    model = keras.Model(entry, _block(entry))
    for _ in range(levels):
        entry = keras.Input((4,))
        model = keras.Model(entry, layers.ReLU()(model(entry)))
    return model


MODELS: dict[str, dict[str, Callable[[], keras.Model]]] = {
    "resnet152": {"ResNet152": lambda: keras.applications.ResNet152(weights=None)},
    "efficientnetb7": {"EfficientNetB7": lambda: keras.applications.EfficientNetB7(weights=None)},
    "wide": {f"wide {size}": functools.partial(wide, size) for size in SIZES},
    "nested": {f"nested {size}": functools.partial(nested, size) for size in SIZES},
}
DEEP: dict[str, Callable[[], keras.Model]] = {
    **{f"{depth} layers in a chain": functools.partial(chain, depth) for depth in (1200, 5000)},
    **{f"{levels} models in another": functools.partial(tower, levels) for levels in (300, 1000)},
}


class Stopwatch:
    """CPU seconds within wrapped functions, of which only the outermost counts."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._running = False

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed.

        Returns:
            A function of the same signature.
        """

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._running:
                return function(*args, **kwargs)
            self._running = True
            started = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.process_time() - started
                self._running = False

        # Keras reads what constructors take, and looks at no `__wrapped__`.
        timed.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return timed


@contextlib.contextmanager
def construction_timed() -> Iterator[Stopwatch]:
    """Wraps what Keras constructs models by.

    Yields:
        The stopwatch.
    """
    watch = Stopwatch()
    entries = [(cls, name) for cls in _subclasses(keras.Operation) for name in ENTRIES]
    entries += [(cls, "assign") for cls in keras.Variable.__mro__]
    before = [(cls, name, vars(cls)[name]) for cls, name in entries if name in vars(cls)]
    for cls, name, method in before:
        static = isinstance(method, classmethod | staticmethod)
        wrapped = watch.wrap(method.__func__ if static else method)
        setattr(cls, name, type(method)(wrapped) if static else wrapped)
    try:
        yield watch
    finally:
        for cls, name, method in before:
            setattr(cls, name, method)


def _subclasses(cls: type) -> set[type]:
    return {cls}.union(*map(_subclasses, cls.__subclasses__()))


class Sample(NamedTuple):
    """Seconds of one run: of the CPU, on the wall, and on the CPU outside of Keras's part."""

    cpu: float
    wall: float
    own: float


def run(watch: Stopwatch, action: Callable[[Any], Any], subject: Any) -> tuple[Any, Sample]:
    """Times one action.

    Returns:
        Its result and its seconds.
    """
    gc.collect()
    gc.freeze()
    watch.seconds, wall, cpu = 0.0, time.perf_counter(), time.process_time()
    result = action(subject)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    gc.unfreeze()
    return result, Sample(cpu, wall, cpu - watch.seconds)


def measure(name: str, model: keras.Model, watch: Stopwatch, rounds: int) -> list[dict[str, Any]]:
    """Runs all edits and clones in turn.

    Returns:
        A row for each edit; times in seconds, ratios as median, least and greatest.
    """
    found: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    made: dict[str, int] = {}
    clone_model = keras.models.clone_model
    for _ in range(rounds + 1):
        found["model", "clone"].append(run(watch, clone_model, model)[1])
        for edit, action in EDITS.items():
            edited, seconds = run(watch, action, model)
            found[edit, "edit"].append(seconds)
            clone, seconds = run(watch, clone_model, edited.model)
            found[edit, "clone"].append(seconds)
            _, seconds = run(watch, clone.set_weights, edited.model.get_weights())
            found[edit, "weights"].append(seconds)
            made[edit] = _num_nodes(edited.model)
    nodes, original = _num_nodes(model), found["model", "clone"]
    return [
        {"model": name, "nodes": nodes, "edit": edit, "nodes_made": made[edit]}
        | _row(original, *(found[edit, what] for what in ("edit", "clone", "weights")))
        for edit in EDITS
    ]


def _num_nodes(model: keras.Model) -> int:
    return len(LayerGraph.read(model).calls)


def _row(
    original: list[Sample], edit: list[Sample], clone: list[Sample], weights: list[Sample]
) -> dict[str, Any]:
    return {
        "clone_of_original": _median(original, "cpu"),
        "clone": _median(clone, "cpu"),
        "set_weights": _median(weights, "cpu"),
        "total": _median(edit, "cpu"),
        "ratio": _ratio(edit, clone, "cpu"),
        "wall_ratio": _ratio(edit, clone, "wall"),
        "ratio_to_original": _ratio(edit, original, "cpu"),
        "own": _median(edit, "own"),
        "own_of_clone": _median(clone, "own"),
    }


def _median(samples: list[Sample], clock: str) -> float:
    return statistics.median([float(getattr(sample, clock)) for sample in samples[1:]])


def _ratio(edit: list[Sample], other: list[Sample], clock: str) -> tuple[float, float, float]:
    pairs = list(zip(edit, other, strict=True))[1:]
    ratios = [float(getattr(one, clock) / getattr(two, clock)) for one, two in pairs]
    return statistics.median(ratios), min(ratios), max(ratios)


def exponents(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Slopes of the logarithm of our own time over that of nodes.

    Returns:
        By generated family and edit.
    """
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        family, _, size = row["model"].partition(" ")
        if size:
            points[f"{family} {row['edit']}"].append((row["nodes"], row["own"]))
    logs = {name: np.log(own).T for name, own in points.items()}
    return {name: float(np.polyfit(nodes, own, 1)[0]) for name, (nodes, own) in logs.items()}


def refusals() -> dict[str, str]:
    """Edits models deeper than Keras can build.

    Returns:
        The error of each edit; begins with "FAILED" where it is not one clear line.
    """
    found: dict[str, str] = {}
    limit = sys.getrecursionlimit()
    for name, build in DEEP.items():
        sys.setrecursionlimit(100 * limit)
        model = build()
        sys.setrecursionlimit(limit)
        found |= {f"{edit}, {name}": _refusal(action, model) for edit, action in EDITS.items()}
    return found


def _refusal(edit: Callable[[keras.Model], Any], model: keras.Model) -> str:
    try:
        edit(model)
    except SurgeryError as error:
        clear = "deeper than Keras can build" in str(error) and "\n" not in str(error)
        return str(error) if clear else f"FAILED: {error}"
    except RecursionError as error:
        return f"FAILED: RecursionError: {error}"
    return "FAILED: no error"


def _print(rows: list[dict[str, Any]], slopes: dict[str, float], errors: dict[str, str]) -> None:
    times = ("clone_of_original", "clone", "set_weights", "total")
    ratios = ("ratio", "wall_ratio", "ratio_to_original")
    if rows:
        print("CPU milliseconds, medians; ratios with the least and the greatest")
        print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for row in rows:
        cells = [str(row[name]) for name in ("model", "nodes", "edit", "nodes_made")]
        cells += [f"{1e3 * row[name]:.0f}" for name in times]
        cells += ["{:.2f} [{:.2f}, {:.2f}]".format(*row[name]) for name in ratios]
        cells += [f"{1e3 * row['own']:.0f}", f"{1e6 * row['own'] / row['nodes']:.0f}"]
        print(f"| {' | '.join(cells)} |")
    held = {f"ratio of {row['model']} {row['edit']}": row["ratio"][0] for row in rows}
    missed = [name for name, ratio in held.items() if ratio > GOALS["ratio"]]
    for name in missed:
        print(f"{name} is {held[name]:.2f}: goal {GOALS['ratio']} missed")
    if rows:
        print(f"ratios: {len(held) - len(missed)} of {len(held)} within the goal")
    for name, slope in slopes.items():
        verdict = "met" if slope <= GOALS["exponent"] else "missed"
        print(f"own part of {name}: nodes^{slope:.2f}, goal {GOALS['exponent']} {verdict}")
    for name, text in errors.items():
        print(f"{name}: {text}")


def main() -> None:
    """Parses, runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=[*MODELS, "depth"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    chosen = [arguments.only] if arguments.only else [*MODELS, "depth"]
    rows: list[dict[str, Any]] = []
    with construction_timed() as watch:
        for family in chosen:
            for name, build in MODELS.get(family, {}).items():
                rows += measure(name, build(), watch, arguments.rounds)
                print(f"{name} done", file=sys.stderr, flush=True)
    errors = refusals() if "depth" in chosen else {}
    slopes = exponents(rows)
    if arguments.json:
        print(json.dumps({"rows": rows, "exponents": slopes, "depth": errors}))
        return
    _print(rows, slopes, errors)


if __name__ == "__main__":
    main()
