import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from normcraft.report import render_text, table

NUMBER = re.compile(r"[+-]?\d[\d.,]*%?")


def test_at_80_columns_every_arm_is_one_row_with_interval_and_difference(comparison):
    summary, _, _ = comparison()
    text = render_text(summary)
    best = summary.arms[2]
    low, high = (f"{100 * bound:.1f}" for bound in best.interval)
    assert f"{100 * best.mean:.1f}" in text
    assert f"{low} to {high}" in text
    assert f"+{100 * best.difference:.1f}" in text
    assert summary.verdict.sentence in " ".join(text.split())
    assert summary.store in text
    assert summary.report in text
    assert "note: integer images" in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
@pytest.mark.parametrize("rates", [(0.01,), (0.001, 0.01, 0.05)])
def test_no_line_is_too_long_and_no_number_is_cut(comparison, width, rates):
    summary, _, _ = comparison(rates=rates)
    lines = render_text(summary, width=width).splitlines()
    assert max(map(cell_len, lines)) <= width
    whole = set(NUMBER.findall(render_text(summary, width=300)))
    rows = lines[: lines.index("", 3)]
    assert {n for line in rows[3:] for n in NUMBER.findall(line)} <= whole | {"95%"}


@pytest.mark.parametrize("width", [40, 80, 200])
def test_very_long_names_break_no_line(comparison, width):
    names = ("none", "layer" * 60, "\N{CJK UNIFIED IDEOGRAPH-5C64}" * 100)
    summary, _, _ = comparison(names=names, rates=(0.01, 0.05), store="s" * 300, notes=("n" * 300,))
    lines = render_text(summary, width=width).splitlines()
    assert max(map(cell_len, lines)) <= width
    text = "".join("".join(lines).split())
    assert "s" * 300 in text
    assert all(f"{100 * arm.mean:.1f}" in text for arm in summary.arms)


def test_what_does_not_fit_is_named(comparison):
    summary, _, _ = comparison(rates=(0.001, 0.01))
    assert "left out at this width: " in render_text(summary, width=60)
    assert "left out" not in render_text(summary, width=160)
    assert "93,322" in render_text(summary, width=160)


def test_without_color_there_are_no_codes_and_with_color_the_same_words(comparison):
    summary, _, _ = comparison()
    plain, colored = render_text(summary), render_text(summary, color=True)
    assert "\x1b" not in plain
    assert "\x1b[" in colored
    bare = re.sub(r"\x1b\[[\d;]*m", "", colored)
    assert [line.rstrip() for line in bare.splitlines()] == plain.splitlines()


def test_counts_of_diverged_and_failed_trials_show_only_where_there_are_any(comparison):
    summary, _, _ = comparison()
    assert "diverged" not in render_text(summary, width=160)
    summary, _, _ = comparison(rates=(0.01, 0.05))
    failed = replace(summary.arms[0], outcomes={"finished": 10, "failed": 3, "diverged": 2})
    text = render_text(replace(summary, arms=(failed, *summary.arms[1:])), width=160)
    row = next(line for line in text.splitlines() if line.startswith("none"))
    assert "diverged" in text
    assert "failed" in text
    assert {"2", "3"} <= set(row.split())


def test_arms_with_different_seeds_get_a_column(comparison):
    summary, _, _ = comparison()
    other = replace(summary, arms=(replace(summary.arms[0], seeds=5), *summary.arms[1:]))
    assert "8 paired seeds" in render_text(summary)
    assert "seeds" in render_text(other, width=160).splitlines()[3]


def test_hostile_names_stay_text(comparison):
    names = ("none", "[bold red]x[/]", "\x1b[2Jwipe\nline")
    summary, _, _ = comparison(names=names, model="[link=x]m", store="s\x07.db")
    text = render_text(summary, width=160)
    assert "[bold red]x[/]" in text
    assert r"\x1b[2Jwipe\x0aline" in text
    assert r"s\x07.db" in text
    assert "\x1b" not in text


def test_a_loss_is_told_in_plain_numbers(comparison):
    summary, _, _ = comparison(metric="loss", as_fraction=False, higher_is_better=False)
    text = render_text(summary)
    assert "%" not in text.splitlines()[3].replace("95%", "")
    assert f"{summary.arms[2].mean:.3f}"[:4] in text


@pytest.mark.parametrize("trials", [0, 1])
def test_a_comparison_that_runs_says_so(empty, trials):
    text = render_text(empty(trials=trials, planned=9))
    assert f"running: {trials} of 9 trials" in text
    assert "no trial has ended yet" in text


def test_missing_numbers_leave_cells_empty(comparison):
    summary, _, _ = comparison(seeds=1)
    blank = replace(
        summary.arms[1], mean=None, as_trained_mean=float("nan"), difference=None, p_value=None,
        probability_better=None, step_milliseconds=None, test_mean=None,
    )  # fmt: skip
    text = render_text(replace(summary, arms=(summary.arms[0], blank)))
    assert "nan" not in text.lower().replace("finance", "")
    assert "None" not in text


def test_rich_prints_the_renderable(comparison):
    console = Console(width=80, record=True)
    summary, _, _ = comparison()
    with console.capture() as captured:
        console.print(table(summary))
    assert "after_activation is better" in captured.get()
