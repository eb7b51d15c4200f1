"""Who watches where, and what each shows."""

from __future__ import annotations

import sys

import pytest

from comparisons import make_record
from normcraft.api import progress
from normcraft.api.progress import Lines, LiveBar, NotebookBar, watcher
from normcraft.studies import News

LONG = "before_activation/" + "x" * 300


def begin(shown, *, total=4, epochs=10):
    shown.start(total=total, done=0, epochs=epochs, higher_is_better=True)
    return shown


@pytest.mark.parametrize(
    ("terminal", "kind", "expected"),
    [(False, "xterm", Lines), (True, "xterm", LiveBar), (True, "dumb", Lines)],
)
def test_the_watcher_suits_the_terminal(monkeypatch, terminal, kind, expected):
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert type(watcher()) is expected


def test_a_notebook_gets_its_own(monkeypatch):
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    assert type(watcher()) is NotebookBar


def test_a_log_gets_one_line_a_trial_of_printable_text(capsys):
    lines = begin(Lines(), epochs=1)
    lines.epoch(make_record("none", 0, 0.01).spec, 1)
    lines.record(make_record("no\x1bne", 0, 0.01, reason="line\nbreak"))
    first, second, *rest = capsys.readouterr().err.splitlines()
    assert first == "4 trials of 1 epoch"
    assert second.startswith(r"trial 1/4: no\x1bne, seed 0: finished 0.9")
    assert r"line\x0abreak" in second
    assert not rest


def test_a_long_name_leaves_room_for_the_bar(monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    bar = begin(LiveBar())
    bar.record(make_record(LONG, 0, 0.01))
    bar._bar.refresh()
    bar.finish()
    told = capsys.readouterr().err
    assert "1/4" in told
    assert LONG[:14] in told
    assert LONG not in told


class Output:
    """Stands in for a cell's output."""

    def __init__(self, monkeypatch):
        self.shown = []
        pytest.importorskip("IPython")
        monkeypatch.setattr("IPython.display.display", self.display)

    def display(self, what, display_id):
        self.update(what)
        return self

    def update(self, what):
        self.shown.append(what._repr_html_())


def test_a_notebook_is_written_anew_a_few_times_a_second(monkeypatch):
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    output = Output(monkeypatch)
    bar, trial = begin(NotebookBar(), total=2, epochs=1000), make_record("none", 0, 0.01)
    for number in range(1000):
        now += 0.001
        bar.epoch(trial.spec, number + 1)
    bar.record(trial)
    assert 4 <= len(output.shown) <= 7
    assert 'value="0.80" max="2"' in output.shown[4]
    bar.finish()
    assert output.shown[-1] == "<p>1 of 2 trials</p>"


def test_names_stay_text_in_a_notebook(monkeypatch):
    output = Output(monkeypatch)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN", 0.0)
    begin(NotebookBar()).record(make_record("<b>none</b>", 0, 0.01))
    assert "&lt;b&gt;none&lt;/b&gt; 0.9" in output.shown[-1]
    assert "<b>" not in output.shown[-1]


NEWS = News("rung 1 of 3: trials of 1 epoch", ("none", "a"), 8, 4, 40, "cannot tell yet\x1b")


def test_a_log_is_told_where_a_search_stands(capsys):
    lines = begin(Lines())
    lines.news(NEWS)
    lines.record(make_record("none", 0, 0.01, epochs=3))
    _, news, trial = capsys.readouterr().err.splitlines()
    assert news == (
        "rung 1 of 3: trials of 1 epoch; 2 of 8 arms in; 4 of at most 40 epochs; "
        "cannot tell yet\\x1b"
    )
    assert trial.startswith("trial 1: none, seed 0")


def test_the_bar_of_a_search_counts_epochs_and_says_where_it_stands(monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("FORCE_COLOR", "1")
    bar = begin(LiveBar())
    bar.news(NEWS)
    running = make_record("none", 1, 0.01, epochs=3)
    bar.epoch(running.spec, 2)
    assert bar.advance == 6
    bar.record(running)
    assert (bar.advance, bar.planned) == (7, 40)
    bar._bar.refresh()
    bar.finish()
    told = capsys.readouterr().err
    assert "2 of 8 arms in" in told
    assert "epochs" in told
    assert "\x1bcannot" not in told


def test_a_notebook_shows_where_a_search_stands():
    shown = NotebookBar()
    shown._handle = type("Handle", (), {"update": lambda self, what: None})()
    _start_without_display(shown)
    shown.news(NEWS)
    assert "2 of 8 arms in" in repr(shown)
    assert 'max="40"' in shown._repr_html_()


def _start_without_display(shown):
    progress._Tally.start(shown, total=4, done=0, epochs=10, higher_is_better=True)
    shown._ended, shown._shown = False, 0.0
