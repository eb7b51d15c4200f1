"""What a notebook shows: no script, little of it, the same numbers, hostile names as text."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from normcraft.report.notebook import render_notebook
from normcraft.report.still import curves_svg

HOSTILE = "</svg></td><script>window.hacked=1</script><img src=x onerror=hacked()>\u2028\u202e\"'&"


def shown(comparison):
    summary, _, records = comparison
    return render_notebook(summary, records)


def picture(comparison):
    summary, _, records = comparison
    return ElementTree.fromstring(curves_svg(summary, records))


def titles(comparison):
    return [found.text for found in picture(comparison).iter("title")]


def test_sentence_table_and_curves_are_there(comparison):
    found = comparison(rates=(0.001, 0.01))
    summary, text = found[0], shown(found)
    assert summary.verdict.sentence in text
    assert summary.store in text
    for arm in summary.arms:
        assert f"{100 * arm.mean:.1f}" in text
    assert text.count("<polyline") == 3
    assert "learning rate" in text
    assert "learning rate" not in shown(comparison())


def test_it_holds_no_script_and_stays_small(comparison):
    arms = tuple(f"arm_{number}" for number in range(8))
    text = shown(comparison(names=arms))
    assert len(text) < 60_000
    assert not re.search(r"<script|<style|javascript:|https?://|\son\w+=", text)


def test_names_stay_text(comparison):
    found = comparison(
        names=("none", HOSTILE), metric=HOSTILE, model=HOSTILE, data=HOSTILE, store=HOSTILE,
        notes=(HOSTILE,),
    )  # fmt: skip
    text = shown(found)
    assert not re.search("<script|<img|\u2028|\u202e", text)
    assert text.count("</svg>") == 1
    assert any("window.hacked=1" in title for title in titles(found))


def test_hovering_tells_mean_range_and_seeds_of_an_epoch(comparison):
    found = comparison()
    values = [100 * r.curve[2].validation_score for r in found[2] if r.spec.arm == "none"]
    mean, low, high = np.mean(values), min(values), max(values)
    assert f"none, epoch 3: {mean:.1f} ({low:.1f} to {high:.1f}, seeds: 8)" in titles(found)
    judged = 100 * np.mean([r.score for r in found[2] if r.spec.arm == "none"])
    assert f"none, re-estimated: {judged:.1f}" in titles(found)


def test_lines_lie_where_the_axes_say(comparison):
    found = comparison()
    root = picture(found)
    ticks = [
        (float(line.get("y")), float(line.text))
        for line in root.iter("text")
        if line.get("text-anchor") == "end"
    ]
    pixel, value = np.polyfit(*zip(*ticks, strict=True), 1)
    line = next(root.iter("polyline")).get("points").split()
    values = np.array(
        [[100 * e.validation_score for e in r.curve] for r in found[2] if r.spec.arm == "none"]
    )
    heights = [pixel * float(point.split(",")[1]) + value for point in line]
    np.testing.assert_allclose(heights, values.mean(axis=0), atol=0.1)


@pytest.mark.parametrize("epochs", [1, 2, 7, 50, 1000])
def test_ticks_are_few_round_and_within(comparison, epochs):
    summary, arms, records = comparison(seeds=1)
    first = records[0].curve[0]
    records = [
        replace(r, curve=tuple(replace(first, epoch=n + 1) for n in range(epochs))) for r in records
    ]
    texts = picture((summary, arms, records)).iter("text")
    across = [int(text.text) for text in texts if text.get("y") == "276"]
    assert 1 <= len(across) <= 13
    assert 0 < min(across) <= max(across) <= epochs


def test_losses_of_very_different_size_get_a_logarithmic_axis(comparison):
    summary, arms, records = comparison(metric="loss", as_fraction=False, higher_is_better=False)
    losses = [3000 * 0.3**epoch for epoch in range(10)]
    records = [
        replace(
            r,
            curve=tuple(
                replace(e, validation_score=None, validation_loss=loss)
                for e, loss in zip(r.curve, losses, strict=True)
            ),
        )
        for r in records
    ]
    root = picture((summary, arms, records))
    points = next(root.iter("polyline")).get("points").split()
    y = [float(point.split(",")[1]) for point in points]
    np.testing.assert_allclose(np.diff(y), np.diff(y)[0], atol=0.11)  # a straight line
    assert "1000" in [text.text for text in root.iter("text")]


def test_without_curves_there_is_no_picture(comparison, empty):
    summary, _, _ = comparison()
    assert curves_svg(summary, []) == ""
    assert "no trial has ended yet" in render_notebook(empty(), [])
