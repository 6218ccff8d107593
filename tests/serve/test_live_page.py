"""The page in a real browser: follows a running study, hovers, clicks, replays, saves; nothing comes from elsewhere."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from example_study import SPACE, Study, example_study, wsd
from playwright.sync_api import expect
from served import PATIENCE, Visit, append, serving

from autosched.compare.document import results_document
from autosched.compare.outcome import Goal, comparison_page, results_of
from autosched.compare.plan import Terms
from autosched.compare.trace import End, Trace
from autosched.laws.fit import FitFailure
from autosched.ledger.events import TrialJudged
from autosched.ledger.records import LAWLESS, Decision
from autosched.ledger.store import Ledger
from autosched.report.html import write_report
from autosched.report.moments import Story
from autosched.report.summary import summarise
from autosched.space.records import Budget
from autosched.testing.chromium import chromium

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Left out, in one line of the summary, where there is none."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(chromium())
        except FileNotFoundError as missing:
            pytest.skip(f"the page in a browser: {missing}")


def test_a_running_study_is_followed_to_its_end(browser: Any, tmp_path: Path) -> None:
    events, url = example_study().events, f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url)
    append(ledger, "wsd-demo", events[:120])
    with serving(url) as (place, _):
        visit = Visit(browser, f"{place}/study/wsd-demo?trial=1", viewport={"width": 1280, "height": 900})
        page = visit.page
        assert page.get_by_role("heading", level=1).inner_text() == "wsd-demo"
        assert page.locator("#now tbody tr").count() >= 1
        assert page.locator("tr.chosen").count() >= 1  # the deep link's trial
        append(ledger, "wsd-demo", events[120:200])
        page.locator("#told", has_text="Event 199,").wait_for()
        append(ledger, "wsd-demo", events[200:])
        page.get_by_text("finished: 14 trials are proposed.").wait_for()
        assert visit.left_the_place(place) == []
        assert visit.real_faults() == []
    ledger.close()


def test_whoever_waits_for_a_long_study_is_told_how_much_is_read(browser: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url)
    append(ledger, "wsd-demo", example_study().events[:1])
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    with serving(url) as (place, _):
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.route("**/document", hold)  # until it has been said
        page.goto(f"{place}/study/wsd-demo")
        page.get_by_text("The study is being read: 0 of 1 event.").wait_for()
        held[0].continue_()
        page.wait_for_selector("body[data-ready=true]")
        assert page.get_by_text("is being read").count() == 0
        page.close()
    ledger.close()


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = example_study()
    story = Story.of("wsd-demo", study.events)
    return write_report(story, SPACE, summarise(study.state, SPACE), tmp_path_factory.mktemp("frozen"))


def test_the_finished_report_is_the_same_page_and_can_be_explored(browser: Any, frozen: Path, tmp_path: Path) -> None:
    visit = Visit(browser, frozen.as_uri(), viewport={"width": 1280, "height": 900})
    page = visit.page
    page.locator("#search [data-picture=history] .plot").scroll_into_view_if_needed()
    point = page.locator("[data-picture=history] .scatterlayer .point").nth(3)
    point.wait_for()
    point.hover(force=True)
    named = page.locator("[data-picture=history] .hovertext").first
    named.wait_for()
    assert "trial" in named.text_content()
    assert "peak_lr" in named.text_content()
    box = point.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#trials tr.chosen").wait_for()
    chosen = page.locator("#picked").input_value()
    assert f"trial {chosen}" in page.locator("#chosen th").nth(1).inner_text()
    assert f"trial={chosen}" in page.url

    rows = list(csv.reader(io.StringIO(visit.saved("trials.csv", tmp_path))))
    assert len(rows) == 1 + len(example_study().state.trials)
    assert json.loads(visit.saved("study.json", tmp_path))["head"]["study"] == "wsd-demo"
    assert json.loads(visit.saved("schedule.json", tmp_path))["lrs"]
    assert visit.saved("SVG", tmp_path).startswith("<svg")

    page.locator("#moment").fill("60")
    told = page.locator("#told").inner_text()
    assert told.startswith("Event ")
    assert page.get_by_text("Learning-rate schedule search, replayed.").count() == 1
    page.get_by_label("one event on").click()
    assert page.locator("#told").inner_text() != told
    page.locator("#play").click()
    page.locator("#play", has_text="pause").wait_for()
    expect(page.locator("#moment")).not_to_have_value("61", timeout=60_000)  # it moves on by itself
    page.locator("#latest").click()
    page.get_by_text("finished: 14 trials are proposed.").wait_for()
    assert visit.left_the_place(frozen.as_uri()) == []
    assert visit.real_faults() == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_axe_finds_no_serious_fault_and_nothing_overflows(browser: Any, frozen: Path, scheme: str, width: int) -> None:
    visit = Visit(browser, frozen.as_uri(), viewport={"width": width, "height": 4000}, color_scheme=scheme)
    visit.page.locator("[data-picture=history] .main-svg").first.wait_for()
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    assert visit.serious() == []


def test_what_judged_is_said_and_paused_pruned_and_pilots_are_told_apart(browser: Any, tmp_path: Path) -> None:
    study = Study()
    study.begin()
    pilot = study.propose(wsd(0.02, 0.4), "pilot", 120)
    paused, pruned = (study.propose(wsd(lr, 0.3)) for lr in (0.01, 0.03))
    for number, status in ((pilot, "reached"), (paused, "paused"), (pruned, "pruned")):
        study.train(number)
        if number == pruned:
            decision = Decision(action="stop", reason=f"{LAWLESS}; Hyperband stops it")
            study.add(TrialJudged(trial=number, step=120, decision=decision))
        study.end(number, status, reason=f"why it is {status}")
    law = FitFailure(reason="the law misses the curves by 26%.")
    path = write_report(Story.of("s", study.events), SPACE, summarise(study.state, SPACE), tmp_path, law=law)
    page = Visit(browser, path.as_uri()).page
    judged = page.locator("#forecasts p").first.inner_text()
    assert judged.startswith("No law described the curves at 1 of 1 decision: there TPE proposed, and Hyperband")
    assert judged.endswith("At the end there is no law: the law misses the curves by 26%.")
    for table, number in (("paused", paused), ("pruned", pruned), ("pilots", pilot)):
        rows = page.locator(f"#stopped [data-table={table}] tbody tr").all_inner_texts()
        assert [row.split("\t")[0] for row in rows] == [str(number)]
    assert page.get_by_text("0.8 saved").count() == 1  # of the pruned one alone


def test_hostile_names_are_inert(browser: Any, tmp_path: Path) -> None:
    study = Study()
    study.state.name = "<img src=x onerror=document.title='lost'>"
    study.begin()
    study.propose(wsd(0.01, 0.2))
    study.train(0)
    study.end(0, "pruned", reason='=HYPERLINK("http://elsewhere","x")\x1b[31m\u202e')
    story = Story.of(study.state.name, study.events)
    visit = Visit(browser, write_report(story, SPACE, summarise(study.state, SPACE), tmp_path).as_uri())
    assert visit.page.get_by_role("heading", level=1).inner_text() == study.state.name
    assert visit.page.title() != "lost"
    assert visit.page.locator("main img").count() == 0
    assert "\\u001b[31m\\u202e" in visit.page.locator("#stopped").inner_text()
    rows = list(csv.DictReader(io.StringIO(visit.saved("trials.csv", tmp_path))))
    assert rows[0]["reason"] == '\'=HYPERLINK("http://elsewhere","x")\\u001b[31m\\u202e'
    assert visit.real_faults() == []


def test_a_comparison_is_drawn_by_the_same_page(browser: Any, tmp_path: Path) -> None:
    ends = {"quick": ((100, 2.8), (200, 2.0)), "slow": ((100, 3.0), (500, 2.5))}
    traces = [
        Trace(
            method=name,
            seed=0,
            study=f"{name}-0",
            ledger="sqlite:///ledger.db",
            horizon=100,
            ends=tuple(End(spent=spent, loss=loss) for spent, loss in found),
            spent=600,
            chosen=None,
            curves=(),
            seconds=1.0,
            fresh={},
        )
        for name, found in ends.items()
    ]
    results = results_of(traces, Terms(seeds=1, budget=Budget(steps=600)), Goal(tolerance=0.06), title="A < B")
    (tmp_path / "compare.html").write_text(comparison_page(results, results_document(results)), encoding="utf-8")
    visit = Visit(browser, (tmp_path / "compare.html").as_uri())
    rows = visit.page.locator("[data-table=methods] tbody tr")
    assert [row.split("\t")[0] for row in rows.all_inner_texts()] == ["quick", "slow"]
    visit.page.locator("[data-picture=regret] .main-svg").first.wait_for()
    assert visit.page.get_by_role("heading", level=1).inner_text() == "A < B"
    assert visit.real_faults() == []


def test_an_empty_ledger_and_studies_side_by_side(browser: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url)
    with serving(url) as (place, _):
        visit = Visit(browser, place)
        assert "no study yet" in visit.page.locator("main").inner_text()
        append(ledger, "wsd-demo", example_study().events)
        append(ledger, "begun", example_study().events[:60])
        page = visit.page
        page.reload()
        page.get_by_label("mark wsd-demo").check()
        page.get_by_label("mark begun").check()
        page.get_by_role("button", name="show the marked ones side by side").click()
        page.get_by_role("heading", name="Studies side by side").wait_for()
        page.wait_for_selector("body[data-ready=true]")
        assert page.locator("[data-table=beside] tbody tr").count() == 2
        page.locator("[data-picture=beside-history] .main-svg").first.wait_for()
        assert visit.serious() == []
        assert visit.real_faults() == []
    ledger.close()
