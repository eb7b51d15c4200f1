"""The page in a real browser: it draws, switches, fits a phone, and runs nothing but its own."""

from __future__ import annotations

import re

import pytest

from browser import INSTALLED, browsing
from comparisons import make_comparison
from normcraft.report import render_html
from normcraft.report.palette import strokes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not INSTALLED, reason="needs chromium and chromedriver"),
]

HOSTILE = "</script><img src=x onerror='bad=1'>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsing(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def page():
    names = ("none", "after_activation", HOSTILE)
    return make_comparison(names=names, rates=(0.01, 0.05), notes=(HOSTILE,))


@pytest.fixture(scope="module")
def opened(browser, page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(*page), encoding="utf-8")
    browser.open(path)
    browser.wait(f"document.querySelectorAll('{DRAWN}').length === 3")
    return browser


DRAWN = "[data-figure] svg.main-svg:first-of-type"


def test_all_figures_are_drawn_and_nothing_foreign_runs(opened):
    assert opened.run("return document.querySelectorAll('.plot .trace').length") > 10
    assert opened.run("return window.bad") is None
    assert opened.run("return document.images.length") == 0
    assert opened.run("return performance.getEntriesByType('resource').length") == 0
    assert opened.log() == []
    names = opened.run(
        "return [...document.querySelectorAll('.annotation-text')].map(e => e.textContent)"
    )
    assert HOSTILE in names


def test_score_and_loss_are_switched(opened):
    both = "document.querySelectorAll('[data-figure=score],[data-figure=loss]')"
    shown = f"return [...{both}].map(each => each.hidden)"
    assert opened.run(shown) == [False, True]
    opened.run("document.querySelector('[name=quantity][value=loss]').click()")
    opened.wait(f"document.querySelectorAll('{DRAWN}').length === 4")
    assert opened.run(shown) == [True, False]
    assert opened.run("return document.querySelector('[data-figure=loss]').clientHeight") > 200
    opened.run("document.querySelector('[name=quantity][value=score]').click()")
    assert opened.run(shown) == [False, True]


LINES = "document.querySelectorAll('[data-figure=score] .scatterlayer .trace').length"
BUTTON = "document.querySelectorAll('[data-arm]')"


@pytest.mark.parametrize("arm", [1, 2])
def test_an_arm_is_hidden_and_shown_again(opened, arm):
    before = opened.run(f"return {LINES}")
    press = f"{BUTTON}[{arm}].click()"
    opened.run(press)
    opened.wait(f"{LINES} < {before}")
    opened.run(press)
    opened.wait(f"{LINES} === {before}")


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_key_hides_an_arm_and_says_so(opened, key):
    before = opened.run(f"return {LINES}")
    pressed = f"{BUTTON}[1].getAttribute('aria-pressed')"
    opened.run(f"{BUTTON}[1].focus()")
    for state, shown in (("false", f"{LINES} < {before}"), ("true", f"{LINES} === {before}")):
        opened.press(key)
        opened.wait(shown)
        assert opened.run(f"return {pressed}") == state


def test_an_arm_that_was_hidden_stays_hidden_in_the_other_figure(opened):
    opened.run(f"{BUTTON}[1].click(); document.querySelector('[value=loss]').click()")
    lines = LINES.replace("score", "loss")
    opened.wait(f"{lines} === 2 * 3")  # band, line and diamond of the two others
    opened.run(f"{BUTTON}[1].click(); document.querySelector('[value=score]').click()")
    opened.wait(f"{lines} === 3 * 3")


def test_arrow_keys_switch_between_score_and_loss(opened):
    opened.run("document.querySelector('[value=score]').focus()")
    shown = "[...document.querySelectorAll('.plot')].find(e => !e.hidden).dataset.figure"
    for key, quantity in (("Right", "loss"), ("Left", "score")):
        opened.press(key)
        opened.wait(f"{shown} === '{quantity}'")


@pytest.mark.parametrize("epoch", [1, 4, 10])
def test_hovering_over_a_curve_tells_the_values_of_the_records(opened, page, epoch):
    _, _, records = page
    plot = "document.querySelector('[data-figure=score]')"
    opened.run(f"{plot}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    x, y = opened.run(
        f"const plot = {plot}, box = plot.getBoundingClientRect(), of = plot._fullLayout;"
        f"return [box.x + of._size.l + of.xaxis.d2p({epoch}), box.y + of._size.t + of._size.h / 2]"
    )
    opened.point_at(x, y)
    label = f"{plot}.querySelector('.hoverlayer .legend')"
    opened.wait(f"{label} && {label}.textContent.startsWith('{epoch}')")
    told = opened.run(f"return [...{label}.querySelectorAll('text')].map(e => e.textContent)")
    for arm in ("none", "after_activation", HOSTILE):
        scores = [
            100 * record.curve[epoch - 1].validation_score
            for record in records
            if record.spec.arm == arm and record.spec.learning_rate == 0.01
        ]
        mean, low, high = sum(scores) / len(scores), min(scores), max(scores)
        assert f"{arm} : {mean:.1f} ({low:.1f} to {high:.1f}, seeds: 8)" in told


REACHABLE = "a[href], button, input:checked, summary, [tabindex='0']"


def test_tab_reaches_every_control_and_shows_where_it_is(opened):
    opened.run("location.reload()")
    opened.wait(f"document.querySelectorAll('{DRAWN}').length === 3")
    expected = opened.run(
        f"window.controls = [...document.querySelectorAll({REACHABLE!r})]"
        ".filter(each => each.checkVisibility()); return window.controls.length"
    )
    reached = []
    for _ in range(expected):
        opened.press("Tab")
        reached.append(opened.run("return window.controls.indexOf(document.activeElement)"))
        assert opened.run(
            "const focused = document.activeElement;"
            "const shown = focused.matches('input') ? focused.nextElementSibling : focused;"
            "const style = getComputedStyle(shown), box = shown.getBoundingClientRect();"
            "return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2"
            " && box.right > 0 && box.bottom > 0 && box.top < innerHeight"
        ), opened.run("return document.activeElement.outerHTML.slice(0, 200)")
    assert reached == list(range(expected))  # each once, in the order of the page


# Every text that is shown, with its color, the colors that it stands on, and their contrast after
# WCAG 2, success criterion 1.4.3. A gradient counts with each of its colors.
CONTRASTS = """
const rgba = (text) => {
  const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
  return [r, g, b, a];
};
const over = (top, under) =>
  top.slice(0, 3).map((value, i) => value * top[3] + under[i] * (1 - top[3]));
const grounds = (element) => {
  if (!element) return [[255, 255, 255]];
  const { backgroundColor, backgroundImage } = getComputedStyle(element);
  const colors = [backgroundColor, ...(backgroundImage.match(/rgba?\\([^)]*\\)/g) || [])];
  const opaque = colors.map(rgba).filter(color => color[3] === 1);
  const rest = colors.map(rgba).some(color => color[3] < 1) && !opaque.length;
  const below = rest ? grounds(element.parentElement) : [];
  return [...opaque, ...below.flatMap(ground => colors.map(c => over(rgba(c), ground)))];
};
const luminance = (color) => {
  const [r, g, b] = color.map(value => value / 255)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
  if (!text || !element.checkVisibility() || element.closest("noscript, .hidden, .skip")) continue;
  const style = getComputedStyle(element);
  const ink = rgba(element.closest("svg") ? style.fill : style.color);
  for (const ground of grounds(element)) {
    found.push([contrast(over(ink, ground), ground), text.slice(0, 40)]);
  }
}
return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(opened, scheme):
    opened.run("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    opened.run(f"{BUTTON}[2].click()")  # a name that is struck out counts as well
    opened.scheme(scheme)
    opened.next_frame()
    found = opened.run(CONTRASTS)
    opened.run(f"{BUTTON}[2].click()")
    assert len(found) > 200
    assert {text for _, text in found} >= {"none", "epoch", "Copy", "Versions and machine"}
    assert [each for each in found if each[0] < 4.5] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_line_stands_out_from_the_page(opened, scheme):
    opened.scheme(scheme)
    ground = opened.run("return getComputedStyle(document.body).backgroundColor")
    names = [str(number) for number in range(9)]
    summary, _, _ = make_comparison(names=names, seeds=1)
    for stroke in strokes(summary).values():
        color = [int(stroke.color[at : at + 2], 16) for at in (1, 3, 5)]
        assert contrast(color, [int(each) for each in re.findall(r"\d+", ground)]) >= 3


def contrast(*colors):
    def luminance(color):
        parts = [c / 255 for c in color]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted(map(luminance, colors))
    return (light + 0.05) / (dark + 0.05)


def test_the_figures_follow_a_change_of_color_scheme(opened):
    ink = "document.querySelector('[data-figure=score]')._fullLayout.font.color"
    seen = set()
    for scheme in ("light", "dark"):
        opened.scheme(scheme)
        opened.wait(
            f"{ink} === getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()"
        )
        seen.add(opened.run(f"return {ink}"))
    assert len(seen) == 2


@pytest.mark.parametrize("width", [360, 1280, 2560])
def test_the_page_fits_its_window(opened, width):
    opened.size(width)
    opened.wait(f"innerWidth === {width} && document.documentElement.scrollWidth <= {width}")
    opened.devtools("Emulation.clearDeviceMetricsOverride")


def test_the_code_is_copied_or_selected(opened):
    opened.run("document.querySelector('.copy').click()")
    opened.wait("document.querySelector('#status').textContent !== ''")


def test_very_long_names_do_not_widen_the_page(browser, tmp_path):
    long = "name" * 75
    summary, arms, records = make_comparison(
        names=("none", long), rates=(0.01, 0.05), metric=long, model=long, data=long, notes=(long,)
    )
    (tmp_path / "long.html").write_text(render_html(summary, arms, records), encoding="utf-8")
    browser.size(360)
    browser.open(tmp_path / "long.html")
    browser.wait(f"document.querySelectorAll('{DRAWN}').length === 3")
    assert browser.run("return document.documentElement.scrollWidth") <= 360
    cut = (
        "return [...document.querySelectorAll('.annotation-text, .plot text')]"
        ".filter(e => e.getBoundingClientRect().right > 360).map(e => e.textContent)"
    )
    assert browser.run(cut) == []
    browser.devtools("Emulation.clearDeviceMetricsOverride")


def test_without_scripts_there_is_a_still_figure(browser, page, tmp_path):
    path = tmp_path / "still.html"
    path.write_text(render_html(*page), encoding="utf-8")
    browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(path)
    document = browser.devtools("DOM.getDocument", depth=0)["root"]["nodeId"]
    query = {"nodeId": document, "selector": "noscript svg polyline"}
    lines = browser.devtools("DOM.querySelectorAll", **query)["nodeIds"]
    browser.devtools("Emulation.setScriptExecutionDisabled", value=False)
    assert len(lines) == 3
