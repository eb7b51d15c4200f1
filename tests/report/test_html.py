import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from comparisons import make_comparison
from normcraft.report import page, render_html
from normcraft.report.escape import script_json, visible

HOSTILE = (
    "</script><script>window.hacked=1</script>\u2028\"'&<img src=x onerror=hacked()>\x1b\ud800"
)


class Page(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.scripts, self.words, self.attributes = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags[-1:] == ["script"] and self.scripts and not self.scripts[-1]:
            self.scripts[-1] = data
        else:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def figures_of(text):
    return json.loads(Page(text).scripts[0])


@pytest.fixture(scope="module")
def whole():
    summary, arms, records = make_comparison(rates=(0.001, 0.01, 0.05))
    return summary, Page(render_html(summary, arms, records))


def test_the_page_says_what_the_summary_holds(whole):
    summary, found = whole
    text = found.text
    for words in (
        "digits_cnn on digits", summary.verdict.sentence, "A winner", "before_activation",
        "2 trials diverged over all learning rates", "the output layer keeps its scale",
        "3 inserted, 1 skipped, 3 biases dropped", "layers.Conv2D(16, 3, use_bias=False",
        summary.command, summary.store, "keras", "3.15.1", "AMD EPYC 7B13", "integer images",
        "Holm", "sign-flip", "0.001",
    ):  # fmt: skip
        assert words in text


def test_the_page_says_what_the_verdict_speaks_about(whole):
    _, found = whole
    assert "What the verdict speaks about" in found.text
    assert "on these data, over all seeds: initial weights, batch order, dropout" in found.text


def test_the_page_is_one_file_that_asks_nothing_of_the_network(whole):
    _, found = whole
    sources = [value for name, value in found.attributes if name in {"src", "href", "action"}]
    assert sources == ["#results"]
    assert "link" not in found.tags
    policy = next(v for n, v in found.attributes if n == "content" and "default-src" in v)
    assert policy.startswith("default-src 'none';")


def test_only_the_two_scripts_of_the_page_may_run(whole):
    _, found = whole
    policy = next(v for n, v in found.attributes if n == "content" and "default-src" in v)
    for script in found.scripts[1:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert len(found.scripts) == 3
    assert not re.search(r"script-src[^;]*unsafe", policy)


def test_tables_have_headings_with_a_scope_and_figures_a_text(whole):
    _, found = whole
    scopes = [value for name, value in found.attributes if name == "scope"]
    assert scopes.count("row") >= 3
    assert found.tags.count("th") == len(scopes)
    assert found.tags.count("figcaption") == found.tags.count("figure") == 3
    levels = [int(tag[1]) for tag in found.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert max(b - a for a, b in pairwise(levels)) <= 1
    labels = dict(found.attributes)
    assert labels["lang"] == "en"


def test_figures_are_there_as_data(comparison):
    assert set(figures_of(render_html(*comparison()))) == {"score", "loss", "differences"}
    assert "rates" in figures_of(render_html(*comparison(rates=(0.01, 0.05))))
    assert set(figures_of(render_html(*comparison(seeds=1)))) == {"score", "loss", "differences"}


def test_text_from_models_and_files_stays_text(comparison):
    names = ("none", HOSTILE)
    summary, arms, records = comparison(
        names=names, seeds=2, notes=(HOSTILE,), command=HOSTILE, model=HOSTILE, data=HOSTILE,
        metric=HOSTILE, store=HOSTILE, trainer=HOSTILE,
    )  # fmt: skip
    summary = replace(summary, verdict=replace(summary.verdict, sentence=HOSTILE))
    arms[1] = replace(arms[1], inserted=((HOSTILE, HOSTILE),), skipped=((HOSTILE, HOSTILE),))
    layer = {HOSTILE: {"mean": 0.0, "std": 1.0, "zero": 0.5}}
    records = [
        replace(r, activations=layer, versions={HOSTILE: HOSTILE}, machine={"os": HOSTILE})
        for r in records
    ]
    text = render_html(summary, arms, records, code=HOSTILE)
    text.encode()
    found = Page(text)
    assert found.tags.count("script") == 3
    assert "img" not in found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert "\u2028" not in text.replace(found.scripts[1], "")
    assert "\x1b" not in text.replace(found.scripts[1], "")
    assert visible(HOSTILE) in found.text
    assert figures_of(text)["score"]["data"][-1]["legendgroup"] == visible(HOSTILE)


def test_script_json_cannot_end_its_script():
    text = script_json(json.dumps(HOSTILE, ensure_ascii=False))
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == HOSTILE


def test_a_comparison_that_runs_says_how_far_it_is(comparison):
    summary, arms, records = comparison(seeds=1, planned=48)
    assert "running: 3 of 48 trials" in Page(render_html(summary, arms, records)).text


def test_a_finished_comparison_does_not_say_that_it_runs(whole):
    assert "running:" not in whole[1].text


def test_a_page_without_any_result(empty):
    text = Page(render_html(empty(planned=9), (), ())).text
    assert "no trial has ended yet" in text
    assert "No arm has a result yet." in text
    assert "as Keras code" not in text


def test_arms_without_records(comparison):
    summary, arms, _ = comparison()
    text = render_html(summary, arms, ())
    assert set(figures_of(text)) == {"differences"}
    assert "Activations" not in Page(text).text


def test_missing_numbers_are_dashes(comparison):
    summary, arms, records = comparison(seeds=1)
    fields = (
        "mean interval as_trained_mean test_mean difference difference_interval p_value "
        "probability_better step_milliseconds foldable outcome"
    )
    blank = [replace(arm, **dict.fromkeys(fields.split())) for arm in summary.arms]
    summary = replace(summary, arms=tuple(blank), store=None, report=None, command=None, notes=())
    found = Page(render_html(summary, arms, [replace(r, score=None) for r in records]))
    assert "None" not in found.text
    assert "nan" not in found.text.lower().split()
    assert "\N{EN DASH}" in found.text


def test_code_that_cannot_be_written_says_why(comparison):
    summary, arms, records = comparison(seeds=1)
    arms = [replace(arm, config="{}") for arm in arms]
    text = Page(render_html(summary, arms, records)).text
    assert "There is no code to show: this describes no Keras model" in text


def test_code_may_be_given(comparison):
    summary, arms, records = comparison(seeds=1)
    assert "model = mine()" in render_html(summary, arms, records, code="model = mine()")


def test_without_a_winner_the_code_is_that_of_the_best_mean(comparison):
    summary, arms, records = comparison(seeds=1)
    assert summary.verdict.winner is None
    best = max(summary.arms, key=lambda arm: arm.mean).name
    assert page.shown_arm(summary, arms).name == best
    worst = min(summary.arms, key=lambda arm: arm.mean).name
    assert page.shown_arm(replace(summary, higher_is_better=False), arms).name == worst
    assert "No arm won" in Page(render_html(summary, arms, records)).text


def test_activations_are_averaged_over_trials(comparison):
    summary, _, records = comparison(seeds=2)
    values = [{"conv": {"mean": 1.0, "std": 2.0, "zero": share}} for share in (0.2, 0.4)]
    mine = [r for r in records if r.spec.arm == "none"]
    changed = [replace(r, activations=v) for r, v in zip(mine, values, strict=True)]
    (found,) = page.activations(summary, changed)
    assert found["rows"] == [
        {"layer": "conv", "mean": "1", "std": "2", "zero": "30%", "share": pytest.approx(0.3)}
    ]


def test_trials_that_did_not_finish_are_listed_with_their_reasons(comparison):
    summary, arms, records = comparison(rates=(0.01, 0.05))
    failed = {"outcome": "failed", "score": None, "reason": "MemoryError: <no> room"}
    changed = [replace(r, **failed) if r.spec.seed in {1, 4} else r for r in records]
    rows = page.unfinished(changed)
    assert {"arm": "none", "outcome": "failed", "seeds": "1, 1, 4, 4"}.items() <= rows[0].items()
    assert [row["seeds"] for row in rows if row["outcome"] == "diverged"] == ["2, 5"]
    found = Page(render_html(summary, arms, changed))
    assert "MemoryError: <no> room" in found.text
    assert "no" not in found.tags
    assert "2 of 48 trials diverged and count at chance" in found.text
    assert "did not finish" not in Page(render_html(*comparison())).text


def test_the_backends_that_ran_are_said(comparison):
    summary, arms, records = comparison()
    spec = replace(records[0].spec, backend="torch 2.9.0")
    text = Page(render_html(summary, arms, [replace(records[0], spec=spec)])).text
    assert "KERAS_BACKEND=torch" in text
    assert "KERAS_BACKEND" not in Page(render_html(summary, arms, ())).text


def test_machines_are_listed_once_each(comparison):
    _, _, records = comparison(seeds=2)
    other = replace(records[0], machine={"system": "other"})
    found = page.machines([*records, other])
    assert [each["system"] for each in found] == ["Linux 6.1", "other"]


def test_importing_the_report_loads_no_backend_and_no_plotting():
    code = (
        "import sys, normcraft.report; "
        "assert not {'keras', 'plotly', 'jax', 'jinja2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
