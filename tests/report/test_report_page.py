from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from example_study import SPACE, Study, example_study, search_of_fourteen, wsd

from autosched.report.html import FIGURES, report_page, space_yaml, write_report
from autosched.report.html_sections import USAGE
from autosched.report.markup import Html, join, tag
from autosched.report.summary import summarise
from autosched.space import load_space

VOID = {"meta", "img"}


class Page(HTMLParser):
    """Collects what a page holds, and checks that every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(name)
        self.attributes += [(key, value or "") for key, value in attributes]
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, key: str) -> list[str]:
        return [value for name, value in self.attributes if name == key]


def page_of(study: Study) -> Page:
    summary = summarise(study.state, SPACE)
    return Page(report_page(study.state, SPACE, summary, {}, space_document=space_yaml(SPACE)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study, folder = example_study(), tmp_path_factory.mktemp("report") / "made" / "on demand"
    path = write_report(study.state, SPACE, summarise(study.state, SPACE), folder)
    assert path == folder / "report.html"
    return folder


def test_the_page_needs_nothing_but_itself(folder: Path) -> None:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.names
    assert "link" not in page.names
    assert len(page.values("src")) == len(FIGURES) - 2  # no range test, one loss
    assert all(source.startswith("data:image/png;base64,") for source in page.values("src"))
    assert all(target.startswith("#") for target in page.values("href"))
    assert not re.search(r"url\(|@import", (folder / "report.html").read_text(encoding="utf-8"))


def test_the_figures_lie_beside_the_page(folder: Path) -> None:
    assert {path.stem for path in folder.glob("*.png")} == set(FIGURES) - {"range_test", "named_losses"}


def test_every_link_has_its_section(folder: Path) -> None:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert {target.removeprefix("#") for target in page.values("href")} == set(page.values("id"))
    assert len(page.values("id")) == 10


def test_the_page_tells_the_winner_the_pruned_the_holdouts_and_the_cost(folder: Path) -> None:
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    summary = summarise(example_study().state, SPACE)
    assert f"{summary['best']['value']:.4f}" in text
    assert f"{summary['confirmation']['gain']:+.4f}" in text
    assert "cannot beat" in text
    assert "false kill" in text
    assert f"{summary['steps']['trained']:,}" in text
    assert "the device is full: use a smaller batch" in text


def test_the_space_beside_the_page_can_be_tuned_again(folder: Path) -> None:
    assert load_space(folder / "space.yaml") == SPACE


def test_text_of_others_is_escaped() -> None:
    study = Study()
    study.state.name = "<script>alert(1)</script>"
    study.begin()
    study.propose(wsd(0.01, 0.2))
    study.train(0)
    study.end(0, "pruned", reason="<img src=x onerror=alert(1)> & more")
    page = page_of(study)
    assert "script" not in page.names
    assert "img" not in page.names
    assert "<script>alert(1)</script>" in page.text
    assert "<img src=x onerror=alert(1)> & more" in page.text


def test_an_attribute_cannot_be_left() -> None:
    assert tag("a", "x", href='"><b>') == '<a href="&quot;&gt;&lt;b&gt;">x</a>'


def test_only_html_passes_unescaped() -> None:
    assert join(["<", Html("<br>"), None]) == "&lt;<br>"


def test_a_section_without_content_is_left_out() -> None:
    page = page_of(Study())
    assert set(page.values("id")) == {"cost", "again"}
    assert "no trial reached the horizon" in page.text


def test_an_unconfirmed_gain_says_that_it_is_not_confirmed() -> None:
    assert "not confirmed on fresh seeds" in page_of(search_of_fourteen()).text


def test_a_study_of_one_schedule_shows_its_parameters() -> None:
    study = Study()
    study.begin()
    study.complete(study.propose(wsd(0.01, 0.2)))
    assert page_of(study).text.count("peak_lr=0.01") >= 2


def test_another_space_gives_another_document() -> None:
    assert space_yaml(replace(SPACE, seed=7)) != space_yaml(SPACE)


@pytest.mark.slow
def test_the_code_on_the_page_trains_with_the_winners_learning_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    schedule = example_study().schedules[12]
    (tmp_path / "schedule.json").write_text(schedule.to_json())
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"model": torch.nn.Linear(2, 1)}
    exec(USAGE, names)
    optimizer, scheduler = names["optimizer"], names["scheduler"]
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR)
    used = []
    for _ in range(schedule.steps):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert used == schedule.lrs.tolist()
