"""The page of an explanation: pictures of the steps, one file, no network and no script."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from normcraft.diagnostics.explanation import Explanation, LayerExplanation
from normcraft.diagnostics.shift_record import Shift
from normcraft.report.escape import visible
from normcraft.report.explanation_text import (
    centred,
    channel_columns,
    circumstances,
    figure,
    layer_heading,
    share,
)
from normcraft.report.plots import histogram, lines, span_of
from normcraft.report.templates import template

__all__ = ["page_of", "render_explanation"]

MOST_CHANNELS = 64
FEW_LAYERS = 4  # that are open from the start
WITH, WITHOUT = "scaled", "other"


def render_explanation(explanation: Explanation) -> str:
    """An explanation as one HTML page with pictures.

    Args:
        explanation: What to show.

    Returns:
        HTML text that needs no network and runs no script.
    """
    courses = [_course(one) for one in explanation.shift]
    return page_of(
        explanation,
        kicker="normcraft explanation",
        courses=courses,
        courses_title=f"What moves in {explanation.trained_steps} steps of training",
        courses_keys=[("with normalization", WITH, False), ("without", WITHOUT, False)],
        courses_words=(
            "What flows on from each place, on the same rows after every step, in training mode. "
            "Moved: the 1-Wasserstein distance between the distributions before and after a step, "
            "channel by channel, in standard deviations of the channel."
        ),
    )


def page_of(
    explanation: Explanation,
    *,
    kicker: str,
    courses: Sequence[dict[str, Any]],
    courses_title: str,
    courses_keys: Sequence[tuple[str, str, bool]],
    courses_words: str,
) -> str:
    """The page, with a section of lines over steps.

    Args:
        explanation: The rest of it.
        kicker: The line above its title.
        courses: What is drawn over steps, as the template takes it; may be empty.
        courses_title: Heading of that section.
        courses_keys: `(name, color, dashed)` of its lines.
        courses_words: What they are.

    Returns:
        HTML text.
    """
    layers = explanation.layers
    data = f" on {visible(explanation.data)}" if explanation.data else ""
    text: str = template("explanation.html.j2").render(
        title=f"{visible(explanation.model)}{data}",
        kicker=kicker,
        style=_style(),
        circumstances=circumstances(explanation),
        heading="Sites" if _are_sites(layers) else "Normalization layers",
        findings=[visible(finding) for finding in explanation.findings],
        notes=[visible(note) for note in explanation.notes],
        rows=[_row(layer, layers) for layer in layers],
        any_epsilon=not _are_sites(layers),
        any_weight=any(layer.moving_mean is not None for layer in layers),
        outputs=[_output(one, explanation.rows) for one in explanation.outputs],
        courses=courses,
        courses_title=courses_title,
        courses_keys=courses_keys,
        courses_words=courses_words,
        open_courses=FEW_LAYERS,
    )
    return text


@cache
def _style() -> Any:
    from markupsafe import Markup

    folder = resources.files("normcraft.report") / "assets"
    names = ("report.css", "explanation.css")
    return Markup("\n".join((folder / name).read_text("utf-8") for name in names))


def _are_sites(layers: Sequence[LayerExplanation]) -> bool:
    return all(layer.kind is None for layer in layers)


def _row(layer: LayerExplanation, layers: Sequence[LayerExplanation]) -> dict[str, Any]:
    worst = sorted(layers, key=lambda one: (len(one.findings), one.mean_gap or 0), reverse=True)
    columns = _columns(layer)
    shown = min(len(layer.mean), MOST_CHANNELS)
    return {
        "name": visible(layer.name),
        "what": _what(layer),
        "heading": layer_heading(layer),
        "findings": [visible(finding) for finding in layer.findings],
        "open": len(layers) <= FEW_LAYERS or any(layer is one for one in worst[:2]),
        "samples": f"{layer.effective_samples:,.0f}",
        "mean": _span(layer.statistic_mean),
        "std": _span(layer.statistic_std),
        "epsilon_share": figure(layer.epsilon_share, 2),
        "weight": share(layer.initial_weight),
        "settled": "" if layer.settled_step is None else f"{layer.settled_step:,}",
        "gap": figure(layer.train_inference_gap, 2),
        "own_gap": figure(layer.own_gap, 2),
        "facts": _facts(layer),
        "panels": _panels(layer),
        "heads": list(columns),
        "channels": [
            [figure(values[number], 4) for values in columns.values()] for number in range(shown)
        ],
        "channels_shown": f"{shown} of {len(layer.mean)}; the JSON document has all"
        if shown < len(layer.mean)
        else str(shown),
    }


def _what(layer: LayerExplanation) -> str:
    if layer.kind is None:
        return (layer.placement or "").replace("_", " ")
    return f"{visible(layer.kind.replace('_', ' '))}, {layer.mode}"


def _span(values: tuple[float, float, float] | None) -> str:
    if values is None:
        return figure(None)
    return f"{figure(values[0], 2)} to {figure(values[2], 2)}"


def _facts(layer: LayerExplanation) -> list[tuple[str, str]]:
    facts = [("values behind each statistic", f"{layer.effective_samples:,.0f}")]
    facts += [("statistics from these rows", f"{layer.statistics:,}")]
    if layer.epsilon is not None:
        over = share(layer.epsilon_over_tenth)
        facts += [("ε", f"{layer.epsilon:g}"), ("ε a tenth of the variance or more in", over)]
    if layer.moving_mean is not None:
        settled = "never" if layer.settled_step is None else f"{layer.settled_step:,}"
        facts += [
            ("momentum", "cumulative" if layer.momentum is None else f"{layer.momentum:g}"),
            ("weight of initial values", share(layer.initial_weight)),
            ("under 1% from step", settled),
        ]
    facts.append(("gap on average", figure(layer.mean_gap, 2)))
    return facts


def _panels(layer: LayerExplanation) -> list[dict[str, Any]]:
    panels = []
    received, normalized, scaled = layer.received, layer.normalized, layer.scaled
    if received is not None:
        title = "receives" if layer.kind else "what is there"
        panels.append(histogram(title, _moments(received), [("received", received)]))
    given = [one for one in (normalized, scaled, layer.at_inference) if one is not None]
    span = span_of(given) if given else None
    if normalized is not None:
        title = "normalized" if layer.kind else "normalized it would be"
        panels.append(histogram(title, _moments(normalized), [("normal", normalized)], span))
    if scaled is not None:
        drawn = [("scaled", scaled)]
        words = _moments(scaled)
        if layer.at_inference is not None:
            drawn.append(("other", layer.at_inference))
            words += f"; at inference {_moments(layer.at_inference)}"
        panels.append(histogram("scaled by γ, shifted by β", words, drawn, span))
    return panels


def _moments(one: Any) -> str:
    return f"mean {figure(centred(one))}, std {figure(one.std)}"


def _columns(layer: LayerExplanation) -> dict[str, tuple[float, ...]]:
    columns = channel_columns(layer) | {
        "mean at inference": layer.inference_mean,
        "variance at inference": layer.inference_variance,
    }
    return {head: values for head, values in columns.items() if values is not None}


def _output(output: Any, rows: int) -> dict[str, str]:
    flips = figure(None) if output.label_flips is None else f"{output.label_flips} of {rows}"
    return {
        "name": visible(output.name),
        "largest": figure(output.largest, 2),
        "mean": figure(output.mean, 2),
        "flips": flips,
    }


def _course(one: Shift) -> dict[str, Any]:
    sides = ((WITH, one.with_normalization), (WITHOUT, one.without))
    names = {WITH: "with normalization", WITHOUT: "without"}
    totals = " and ".join(f"{figure(side.total)} {names[color]}" for color, side in sides)
    moved = lines(
        "moved by each step",
        "in standard deviations",
        [(color, side.moved) for color, side in sides],
        across=range(1, len(one.without.moved) + 1),
        from_zero=True,
    )
    bands = [
        lines(
            f"distribution {names[color]}",
            "median, and from the 15th to the 85th percentile",
            [(color, side.middle)],
            bands=[(color, side.low, side.high)],
        )
        for color, side in sides
    ]
    return {
        "name": visible(one.site),
        "count": f"moved by {totals} in all",
        "panels": [moved, *bands],
    }
