"""What `aa_calibration` prints: tables as Markdown, and the power curves as an SVG."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["figure", "search_table", "tables"]

Figures = dict[str, Any]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 300, 52, 200, 16, 44
POINTS = {0.005: "half a point", 0.01: "1 point", 0.02: "2 points"}
COLORS = ("#5b8ff9", "#e8684a", "#2f9e6e")
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#57606a}line{stroke:#8b949e;stroke-opacity:.35}"
    "path{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#9da7b1}}"
)


def figure(found: Sequence[Figures]) -> str:
    """The power curves as an SVG: one colour a gain, four arms dashed.

    Args:
        found: The figures under `"power"`.

    Returns:
        A document.
    """
    curves: dict[str, list[tuple[int, float]]] = {}
    for one in sorted(found, key=lambda one: (one["gain"], one["arms"])):
        if one["gaining"] == "one":
            label = f"{POINTS.get(one['gain'])}, {one['arms']} arms"
            curves.setdefault(label, []).append((one["pairs"], one["power"]))
    return _drawn(curves)


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table.

    Returns:
        Text.
    """
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def search_table(figures: Figures) -> str:
    """What `--budget` found, as Markdown.

    Returns:
        Text.
    """
    heads = ["pool", "arms", "pairs", "searches", "false winners", "95% bound", "no change called"]
    keys = ("false_winner_rate", "upper_bound", "no_change_called_rate")
    rows = [
        [one[name] for name in ("pool", "arms", "pairs", "comparisons")]
        + [f"{one[key]:.1%}" for key in keys]
        for one in figures["search"]
    ]
    return table(heads, rows)


def tables(figures: Figures) -> str:
    """All figures as Markdown.

    Returns:
        Text.
    """
    parts = [json.dumps(figures["about"], indent=1)]
    heads = ["pool", "arms", "pairs", "comparisons"]
    heads += ["false winners", "95% bound", "any false call", "95% bound", "exact limit"]
    rates = ("false_winner_rate", "upper_bound", "false_call_rate", "false_call_upper_bound")
    rows = [
        (
            *(one[key] for key in ("pool", "arms", "pairs", "comparisons")),
            *(percent(one[key]) for key in (*rates, "exact_limit")),
        )
        for one in figures["families"]
    ]
    parts.append(table(heads, rows))
    keys = ("power", "wrong_winner_rate", "coverage", "verdict_coverage")
    if "power" in figures:
        for gains in ("one", "all"):
            rows = [
                (
                    one["arms"],
                    one["pairs"],
                    f"{100 * one['gain']:g}",
                    *(percent(one[key]) for key in keys),
                )
                for one in figures["power"]
                if one["gaining"] == gains
            ]
            heads = ["arms", "pairs", "points", "power", "wrong winner", "coverage", "verdict's"]
            parts.append(table(heads, rows))
        heads = ["pairs", "better", "worse", "cannot tell"]
        keys = ("better", "worse", "cannot_tell")
        for name in ("real_pairs", "real_pairs_with_equal_means"):
            rows = [(one["pairs"], *(percent(one[key]) for key in keys)) for one in figures[name]]
            parts.append(table(heads, rows))
    return "\n".join(parts)


def percent(value: float | None) -> str:
    """A share in per cent with one decimal."""
    return "–" if value is None else f"{100 * value:.1f}%"


def _drawn(curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Draws power by number of pairs.

    Args:
        curves: `(pairs, power)` by label; labels that end in "4 arms" are dashed.

    Returns:
        A whole SVG document.
    """
    pairs = sorted({x for points in curves.values() for x, _ in points})

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - pairs[0]) / (pairs[-1] - pairs[0])
        down = TOP + (1 - y) * (HEIGHT - TOP - BOTTOM)
        return round(LEFT + across * (WIDTH - LEFT - RIGHT), 1), round(down, 1)

    parts = [f"<style>{STYLE}</style>"]
    for share in (0, 0.2, 0.4, 0.6, 0.8, 1):
        x, y = at(pairs[0], share)
        parts.append(f'<line x1="{x}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>')
        parts.append(f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{share:.0%}</text>')
    for number in pairs:
        x, y = at(number, 0)
        parts.append(f'<text x="{x}" y="{y + 18}" text-anchor="middle">{number}</text>')
    x, y = at((pairs[0] + pairs[-1]) / 2, 0)
    parts.append(f'<text x="{x}" y="{y + 37}" text-anchor="middle">paired seeds</text>')
    colors = dict(zip(dict.fromkeys(map(_family, curves)), COLORS, strict=False))
    for number, (label, points) in enumerate(curves.items()):
        ends = [at(*point) for point in points]
        color, dash = colors[_family(label)], ' stroke-dasharray="5 4"' * label.endswith("4 arms")
        line = "M" + " L".join(f"{x} {y}" for x, y in ends)
        parts.append(f'<path d="{line}" stroke="{color}"{dash}/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{color}"/>' for x, y in ends]
        y = TOP + 10 + 20 * number
        x = WIDTH - RIGHT + 16
        parts.append(f'<path d="M{x} {y} h22" stroke="{color}"{dash}/>')
        parts.append(f'<text x="{x + 28}" y="{y + 4}">{label}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Power by number of paired seeds">\n{body}\n</svg>\n'
    )


def _family(label: str) -> str:
    return label.split(",", maxsplit=1)[0]
