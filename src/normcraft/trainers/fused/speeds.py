"""How fast each form of a layer is on this machine: timed once, then remembered."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax import lax

from normcraft._core.cache import cache_folder, read_cache, write_cache
from normcraft._core.cores import num_cores
from normcraft.trainers.fused.convolution import LARGEST
from normcraft.trainers.fused.device import on_cpu
from normcraft.trainers.fused.forms import (
    LIBRARY,
    PRODUCT,
    Chosen,
    Form,
    Place,
    in_forms,
    judged,
    places,
)
from normcraft.trainers.fused.strands import Stopped, side_by_side

__all__ = ["Speeds", "chosen", "fastest", "measure_speeds"]

Speeds = Mapping[str, Mapping[str, float]]
REPEATS, LOOP = 3, 4


def measure_speeds(
    models: Iterable[keras.Model],
    batch_sizes: Iterable[int],
    *,
    timed: bool = True,
    strands: int = 1,
) -> dict[str, dict[str, float]]:
    """Milliseconds that each form of each layer takes, forward and backward.

    With several programs side by side a form that would take more cores finds them busy: each form
    is timed in as many threads as there will be. On an accelerator nothing is timed: the forms that
    stand out there are those for several trials in one program.

    Args:
        models: Built models.
        batch_sizes: Samples a step, one for each model.
        timed: Whether what is not remembered is timed; else the forms that are usually fastest
            stand there with 0 and the others with 1.
        strands: How many programs will run side by side.

    Returns:
        By `Place.key` and name of the form, all that these models need.
    """
    timed = timed and on_cpu()
    path = _file(strands) if on_cpu() else None
    remembered = read_cache(path) if path else {}
    time_them = partial(_times if timed else _usual, strands=strands)
    found: dict[str, dict[str, float]] = {}
    for model, size in zip(models, batch_sizes, strict=True):
        trained = places(model, size)
        for place in trained + judged(trained):
            if place.has_choice and place.key not in found:
                found[place.key] = _fitting(remembered, place) or time_them(place)
    if path and timed and not found.items() <= remembered.items():
        write_cache(path, {**remembered, **found})
    return found


def chosen(places: Iterable[Place], speeds: Speeds, *, together: int = 1) -> Chosen:
    """The layers that are computed in forms of our own.

    Args:
        places: The places.
        speeds: What was measured.
        together: How many trials one program trains.

    Returns:
        Each in its fastest form; none for a single trial on an accelerator, whose libraries are
        good at that.
    """
    if together == 1 and not on_cpu():
        return []
    forms = ((place, fastest(place, speeds, together=together)) for place in places)
    return [(place.layer, place.attribute, form) for place, form in forms if form]


def fastest(place: Place, speeds: Speeds, *, together: int = 1) -> Form | None:
    """The fastest form of a place.

    Args:
        place: The place.
        speeds: What was measured.
        together: How many trials one program trains; with several, convolutions are products, as
            the library is slow at kernels that differ from trial to trial, but for those of judging
            whose patches a processor's memory might not hold.

    Returns:
        A form of our own; None where the library's is fastest, or there is a choice of which
        nothing was measured.
    """
    if not place.has_choice:
        return place.form({part: name for part, (name,) in place.names.items()})
    times = _fitting(speeds, place)
    if times is None:
        return None
    if together > 1 and place.convolution is not None:
        size = together * place.convolution.patches
        wanted = LIBRARY if place.judges and on_cpu() and size > LARGEST else PRODUCT
        names = place.names.items()
        return place.form({part: wanted if wanted in some else some[0] for part, some in names})
    return place.form(
        {
            part: min(names, key=partial(_time_of, times, part))
            for part, names in place.names.items()
        }
    )


def _time_of(times: Mapping[str, float], part: str, name: str) -> float:
    return times[f"{part}: {name}"]


def _fitting(speeds: Speeds, place: Place) -> dict[str, float] | None:
    # What a cache holds may be of another version, or anything.
    times = speeds.get(place.key)
    if not isinstance(times, Mapping) or set(times) != set(_names(place)):
        return None
    return dict(times) if all(isinstance(value, float) for value in times.values()) else None


def _names(place: Place) -> list[str]:
    return [f"{part}: {name}" for part, names in place.names.items() for name in names]


def _file(strands: int) -> Path | None:
    folder = cache_folder("forms")
    if folder is None:
        return None
    machine = jax.__version__, platform.machine(), _processor(), num_cores(), strands
    return folder / f"{hashlib.sha256(repr(machine).encode()).hexdigest()[:16]}.json"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("model name")), "")


def _usual(place: Place, *, strands: int) -> dict[str, float]:
    usual = place.usual(alone=strands == 1 and num_cores() > 1)
    return {
        f"{part}: {name}": float(name != usual[part])
        for part, names in place.names.items()
        for name in names
    }


def _times(place: Place, *, strands: int) -> dict[str, float]:
    # Of a run in a loop, as in training, where memory is there already.
    looped = {name: jax.jit(_loop(function)) for name, function in _functions(place)}
    arrays = {name: _arrays(place, name) for name in looped}
    with ThreadPoolExecutor(num_cores()) as pool:
        lowered = {name: one.lower(*arrays[name]) for name, one in looped.items()}
        programs = list(pool.map(lambda one: one.compile(), lowered.values()))
    found = {
        name: _milliseconds(program, arrays[name], strands)
        for name, program in zip(lowered, programs, strict=True)
    }
    return {name: found.get(name, 0.0) for name in _names(place)}


def _functions(place: Place) -> Iterator[tuple[str, Callable[..., Any]]]:
    for part, names in place.names.items():
        is_asked = len(names) > 1 and not (part == "inputs" and place.is_first)
        for name in names if is_asked else ():
            yield f"{part}: {name}", _function(place, part, name)


def _function(place: Place, part: str, name: str) -> Callable[..., Any]:
    if place.convolution is None:
        return _gradient(place, place.form({part: name}))
    return place.convolution.parts[part][name]


def _gradient(place: Place, form: Form | None) -> Callable[..., Any]:
    chosen = [] if form is None else [(place.layer, place.attribute, form)]

    def loss(x: Any, *values: Any) -> Any:
        pairs = zip(place.layer.variables, values, strict=True)
        with in_forms(chosen), keras.StatelessScope(state_mapping=list(pairs)):
            return jnp.sum(jnp.square(place.layer(x)).astype("float32"))

    gradient: Callable[..., Any] = jax.grad(loss)
    return gradient


def _arrays(place: Place, name: str) -> list[Any]:
    random, dtype = np.random.default_rng(0), place.layer.compute_dtype
    if place.convolution is None:
        values = [variable.value for variable in place.layer.variables]
        return [jnp.asarray(random.normal(size=place.shape), dtype), *values]
    shapes = place.convolution.shapes[name.split(":", maxsplit=1)[0]]
    return [jnp.asarray(random.normal(size=shape), dtype) for shape in shapes]


def _loop(function: Callable[..., Any]) -> Callable[..., Any]:
    # What is carried on has to be written: a sum of it XLA would compute without.
    def looped(first: Any, *rest: Any) -> Any:
        def again(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            array, _ = carry
            result = function(array, *rest)
            return array * (1 + 1e-6 * result.ravel()[0]).astype(array.dtype), result

        empty = jnp.zeros_like(jax.eval_shape(function, first, *rest))
        return lax.fori_loop(0, LOOP, again, (first, empty))[1]

    return looped


def _milliseconds(compiled: Any, arrays: list[Any], strands: int) -> float:
    def least(_: int, __: Stopped) -> float:
        jax.block_until_ready(compiled(*arrays))
        times = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            jax.block_until_ready(compiled(*arrays))
            times.append(1000 * (time.perf_counter() - started) / LOOP)
        return min(times)

    return max(side_by_side(least, range(strands)))
