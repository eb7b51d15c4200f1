"""An explanation as text: one row a layer, what to look at, and of a single layer its steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from normcraft.diagnostics.distribution import Distribution
from normcraft.diagnostics.explanation import Explanation, LayerExplanation
from normcraft.report.escape import visible
from normcraft.report.table import as_text

__all__ = [
    "centred",
    "circumstances",
    "explanation_table",
    "explanation_text",
    "figure",
    "layer_heading",
    "share",
]

BARS = " ▁▂▃▄▅▆▇█"
MOST_CHANNELS = 64
NOTHING = "–"


def explanation_text(explanation: Explanation, *, width: int = 80) -> str:
    """An explanation as text, for a log file or a pipe.

    Args:
        explanation: What to show.
        width: Characters in a line.

    Returns:
        Lines without blanks at their ends, a line break after the last.
    """
    return as_text(explanation_table(explanation), width=width)


def explanation_table(explanation: Explanation) -> RenderableType:
    """An explanation as something that Rich prints.

    Args:
        explanation: What to show; with two layers at most their steps are shown as well.

    Returns:
        A renderable.
    """
    parts: list[RenderableType] = [
        Text(_title(explanation), "bold"),
        Text(circumstances(explanation), "dim"),
        "",
        _summary(explanation.layers),
        *_outputs(explanation),
    ]
    if len(explanation.layers) <= 2:
        parts += [part for layer in explanation.layers for part in _details(layer)]
    if explanation.shift:
        parts += ["", _shift(explanation)]
    if explanation.findings:
        lines = [Text(f"• {visible(finding)}", "yellow") for finding in explanation.findings]
        hanging = [Padding(line, (0, 0, 0, 2)) for line in lines]
        parts += ["", Text("what to look at", "bold"), *hanging]
    parts += [Text(f"note: {visible(note)}", "dim") for note in explanation.notes]
    return Group(*parts)


def _title(explanation: Explanation) -> str:
    data = f" on {visible(explanation.data)}" if explanation.data else ""
    return f"{visible(explanation.model)}{data}"


def circumstances(explanation: Explanation) -> str:
    """What an explanation rests on.

    Returns:
        For example `"the first 32 rows; 3 normalization layers; 0 steps so far (…)"`.
    """
    number = len(explanation.layers)
    are_sites = all(layer.kind is None for layer in explanation.layers)
    noun = "site" if are_sites else "normalization layer"
    rows = "the first row" if explanation.rows == 1 else f"the first {explanation.rows} rows"
    parts = [rows, f"{number} {noun}{'s' * (number != 1)}"]
    if not are_sites:
        known = explanation.steps is not None
        source = visible(explanation.steps_from)
        parts.append(f"{explanation.steps} training steps so far ({source})" if known else source)
    return "; ".join(parts)


def layer_heading(layer: LayerExplanation) -> str:
    """What a layer is, in a few words.

    Returns:
        For example `"batch normalization, training mode"`, or what site it is.
    """
    if layer.kind is None:
        return f"site {(layer.placement or '').replace('_', ' the ')}, no normalization there"
    kind = visible(layer.kind.replace("_", " "))
    return f"{kind} normalization, {layer.mode}{' mode' if layer.mode != 'frozen' else ''}"


def centred(values: Distribution) -> float:
    """The mean of a distribution; zero where that is all that rounding leaves of it.

    Returns:
        A number.
    """
    return values.mean if abs(values.mean) > 1e-6 * values.std else 0.0


def figure(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits.

    Returns:
        Text; a dash where there is no number.
    """
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{value:.{digits}g}"
    return text if "e" not in text or abs(value) < 1e-3 or abs(value) >= 1e6 else f"{value:.0f}"


def share(value: float | None) -> str:
    """A share in percent.

    Returns:
        Text; a dash where there is none.
    """
    if value is None:
        return NOTHING
    return f"{value:.1%}" if value >= 0.001 or not value else "<0.1%"


def _summary(layers: Sequence[LayerExplanation]) -> Table:
    kinds = {(layer.kind, layer.mode, layer.placement) for layer in layers}
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column(Text("layer", "bold"), overflow="fold")
    if len(kinds) > 1:
        grid.add_column(Text("what it is", "bold"), overflow="fold")
    for head in ("values", "mean", "std", "ε/var", "initial", "gap"):
        grid.add_column(Text(head, "bold"), justify="right", no_wrap=True)
    for layer in layers:
        what = [Text(_what(layer))] if len(kinds) > 1 else []
        style = "yellow" if layer.findings else ""
        grid.add_row(Text(visible(layer.name), style), *what, *map(Text, _figures(layer)))
    return grid


def _what(layer: LayerExplanation) -> str:
    if layer.kind is None:
        return (layer.placement or "").replace("_", " ")
    return f"{visible(layer.kind)}, {layer.mode}"


def _figures(layer: LayerExplanation) -> list[str]:
    mean, std = layer.statistic_mean, layer.statistic_std
    return [
        f"{layer.effective_samples:,g}" if layer.effective_samples < 1e6 else "≥1e6",
        figure(mean and mean[1], 2),
        figure(std and std[1], 2),
        figure(layer.epsilon_share, 2),
        share(layer.initial_weight),
        figure(layer.train_inference_gap, 2),
    ]


def _outputs(explanation: Explanation) -> Iterator[RenderableType]:
    yield ""
    for output in explanation.outputs:
        flips = output.label_flips
        labels = "" if flips is None else f", {flips} of {explanation.rows} labels flipped"
        yield Text(
            f"output {visible(output.name)}: training and inference {figure(output.largest, 2)} "
            f"apart, {figure(output.mean, 2)} on average{labels}"
        )
    yield Text(
        "values: behind each statistic; mean, std, ε/var: middle, middle, largest of the "
        "statistics; gap: max|a−b|/max|a| of training and inference",
        "dim",
    )


def _details(layer: LayerExplanation) -> Iterator[RenderableType]:
    yield ""
    yield Text(f"{visible(layer.name)}: {layer_heading(layer)}", "bold")
    grid = Table.grid(padding=(0, 2, 0, 0))
    steps = [
        ("receives" if layer.kind else "is there", layer.received),
        ("normalized" if layer.kind else "would be", layer.normalized),
        ("scaled, shifted", layer.scaled),
        ("at inference", layer.at_inference),
    ]
    for name, values in steps:
        if values is not None:
            grid.add_row(*map(Text, (f"  {name}", *_drawn(values))))
    yield grid
    yield ""
    yield _channels(layer)
    if len(layer.mean) > MOST_CHANNELS:
        yield Text(f"and {len(layer.mean) - MOST_CHANNELS} channels more: --json has all", "dim")


def _drawn(values: Distribution) -> tuple[str, str, str, str]:
    # Two bins a character, so that it fits a terminal.
    pairs = [sum(values.counts[i : i + 2]) for i in range(0, len(values.counts), 2)]
    highest = max(pairs) or 1
    bars = "".join(BARS[math.ceil(count / highest * (len(BARS) - 1))] for count in pairs)
    moments = f"mean {figure(centred(values))}, std {figure(values.std)}"
    return figure(values.low, 2), bars, figure(values.high, 2), moments


def channel_columns(layer: LayerExplanation) -> dict[str, tuple[float, ...] | None]:
    """What there is to say of each channel, by heading.

    Args:
        layer: A layer.

    Returns:
        A number a channel under each heading; None where there is none.
    """
    return {
        "mean": layer.mean,
        "variance": layer.variance,
        "moving mean": layer.moving_mean,
        "moving variance": layer.moving_variance,
        "γ": layer.scale,
        "β": layer.shift,
    }


def _channels(layer: LayerExplanation) -> Table:
    shown = {head: one for head, one in channel_columns(layer).items() if one is not None}
    grid = Table.grid(padding=(0, 2, 0, 0))
    for head in ("channel", *shown):
        grid.add_column(Text(head), justify="right")
    grid.add_row(*(Text(head, "bold") for head in ("  channel", *shown)))
    for number in range(min(len(layer.mean), MOST_CHANNELS)):
        grid.add_row(str(number), *(figure(values[number], 4) for values in shown.values()))
    return grid


def _shift(explanation: Explanation) -> RenderableType:
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column(Text(f"moved in {explanation.trained_steps} steps", "bold"), overflow="fold")
    for head in ("with", "without", "std with", "std without"):
        grid.add_column(Text(head, "bold"), justify="right", no_wrap=True)
    for one in explanation.shift:
        sides = one.with_normalization, one.without
        ends = [f"{figure(s.std[0], 2)} to {figure(s.std[-1], 2)}" for s in sides]
        cells = [*(figure(side.total, 3) for side in sides), *ends]
        grid.add_row(Text(visible(one.site)), *cells)
    return grid
