"""The report's file: one document inside, and inert whatever names say; what Chromium sees is in tests/serve."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from carried import document_of, moments_of
from example_study import SPACE, Study, example_study, search_of_fourteen, wsd

from autosched.ledger.records import Point
from autosched.report.document import MOST, head, trial_records
from autosched.report.frozen import plotly_script, script
from autosched.report.html import report_page, write_report
from autosched.report.moments import Story
from autosched.report.summary import summarise
from autosched.space import TrainerSpec, load_space
from autosched.space.json_form import space_yaml


class Page(HTMLParser):
    """Collects the elements of a page with their attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(name)
        self.attributes += [(key, value or "") for key, value in attributes]

    def handle_data(self, data: str) -> None:
        self.texts.append((self.names[-1] if self.names else "", data))


def page_of(study: Study) -> str:
    story = Story.of(study.state.name, study.events)
    return report_page(story, SPACE, summarise(study.state, SPACE))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study, folder = example_study(), tmp_path_factory.mktemp("report") / "made" / "on demand"
    story = Story.of("wsd-demo", study.events)
    path = write_report(story, SPACE, summarise(study.state, SPACE), folder)
    assert path == folder / "report.html"
    return folder


def test_the_page_needs_nothing_but_itself(folder: Path) -> None:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert not {"link", "img", "iframe"} & set(page.names)
    assert not {"src", "href", "onclick", "onload"} & {key for key, _ in page.attributes}
    assert {path.name for path in folder.iterdir()} == {"report.html", "space.yaml"}


def test_its_policy_lets_its_own_scripts_run_and_no_others(folder: Path) -> None:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    policy = next(value for key, value in page.attributes if key == "content" and "default-src" in value)
    digests = [hashlib.sha256(text.encode()).digest() for text in (script(), plotly_script())]
    hashes = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert f"script-src {' '.join(hashes)};" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "connect-src" not in policy


def test_the_document_holds_every_trial_and_what_happened_to_it(folder: Path) -> None:
    study = example_study()
    document = document_of((folder / "report.html").read_text(encoding="utf-8"))
    assert [trial["trial"] for trial in document["trials"]] == [trial.number for trial in study.state.trials]
    ended = {moment["trial"]: moment for moment in moments_of(document) if moment["kind"] == "trial_ended"}
    for trial in study.state.trials:
        assert ended[trial.number]["status"] == trial.status
        value = ended[trial.number].get("value", float("nan"))
        assert value == pytest.approx(float("nan") if trial.value is None else trial.value, rel=1e-6, nan_ok=True)
        assert document["trials"][trial.number]["steps"] == [point.step for point in trial.points]
    judged = [moment for moment in moments_of(document) if moment["kind"] == "trial_judged"]
    assert len(judged) == sum(len(trial.decisions) for trial in study.state.trials)
    assert document["head"]["summary"] == summarise(study.state, SPACE)
    assert document["schedule"] == study.schedules[12].to_json()


def test_the_space_beside_the_page_can_be_tuned_again(folder: Path) -> None:
    assert load_space(folder / "space.yaml") == SPACE


def test_text_of_others_stays_text() -> None:
    study = Study()
    study.state.name = "</script><script>alert(1)</script>"
    study.begin()
    study.propose(wsd(0.01, 0.2))
    study.train(0)
    study.end(0, "pruned", reason="</script><img src=x onerror=alert(1)>\x1b[31m")
    page = page_of(study)
    assert "alert(1)" not in page.replace("&lt;script&gt;alert(1)&lt;/script&gt;", "")
    assert Page(page).names.count("script") == Page(page_of(search_of_fourteen())).names.count("script")
    told = document_of(page)
    assert told["head"]["study"] == study.state.name
    assert moments_of(told)[-1]["text"].endswith("\x1b[31m")


def test_the_same_study_gives_the_same_bytes() -> None:
    assert page_of(search_of_fourteen()) == page_of(search_of_fourteen())


def test_long_studies_have_thinned_curves() -> None:
    study = search_of_fourteen()
    long = study.state.trials[0]
    long.points[:] = [Point(step=step, loss=1.0) for step in range(1, 5001)]
    (record,) = trial_records(study.state, {0})
    assert (len(record["steps"]), record["steps"][0], record["steps"][-1]) == (MOST, 1, 5000)


def test_what_is_no_number_is_left_open() -> None:
    study = search_of_fourteen()
    assert "Infinity" not in str(document_of(page_of(study)))
    assert study.state.trials[4].divergence is not None


def test_the_optimizer_is_the_one_that_the_space_trains_with() -> None:
    study = search_of_fourteen()
    named = {
        "name": {"optimizer": "muon"},
        "options": {"optimizer": {"use": "lion", "with": {}}},
        "usual": {},
    }
    spaces = {key: replace(SPACE, trainer=TrainerSpec(use="vision", options=options)) for key, options in named.items()}
    story = Story.of(study.state.name, study.events)
    found = {key: head(story.state, space, summarise(study.state, space))["optimizer"] for key, space in spaces.items()}
    assert found == {"name": "muon", "options": "lion", "usual": "adamw"}
    assert head(story.state, SPACE, summarise(study.state, SPACE))["optimizer"] is None


def test_a_search_below_the_noise_of_seeds_says_so() -> None:
    study = example_study()
    close = head(study.state, SPACE, summarise(study.state, SPACE))["close"]
    assert close["near"] == [8]
    assert close["seeds"] == 3


def test_another_space_gives_another_document() -> None:
    assert space_yaml(replace(SPACE, seed=7)) != space_yaml(SPACE)
