"""The pages hold together: links lead somewhere, figures are measured ones, the reference is what the code says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from cite import FIELDS, FIGURE, RESULTS, CitationError, cited, measure, pages, result
from generate import pages as generated_pages
from generate import remade

from autosched.cli.commands import COMMANDS, load_command
from autosched.space.document import parse_document
from autosched.space.yaml_file import read_space

ROOT = Path(__file__).parents[2]
PAGES = {str(page.relative_to(ROOT)): page for page in [*pages(), ROOT / "CONTRIBUTING.md"]}
CODE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^()\s]+)\)")
OWN_PATH = re.compile(
    r"(?:docs|benchmarks|examples|search_spaces|tests|autosched|workers)/[\w./-]+\.(?:md|py|yaml|json)"
)
RECORDS = sorted(page for name, page in PAGES.items() if "/records/" in name and page.name != "README.md")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return CODE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """What GitHub names the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def targets(page: Path) -> list[tuple[str, Path, str]]:
    """Each link of a page that leads to a file: as it is written, its file, its heading."""
    links = [link for link in LINK.findall(prose(page)) if not link.startswith(("http://", "https://"))]
    parts = [(link, *link.partition("#")[::2]) for link in links]
    return [(link, (page.parent / path).resolve() if path else page, anchor) for link, path, anchor in parts]


def test_every_link_leads_to_a_file_and_a_heading_that_exist() -> None:
    found = [(name, *target) for name, page in PAGES.items() for target in targets(page)]
    assert [(name, link) for name, link, file, _ in found if not (file.exists() and file.is_relative_to(ROOT))] == []
    assert [(name, link) for name, link, file, anchor in found if anchor and anchor not in anchors(file)] == []
    assert len(found) > 100


def test_every_file_of_the_project_that_a_page_names_exists() -> None:
    named = [(name, path) for name, page in PAGES.items() for path in OWN_PATH.findall(page.read_text())]
    assert [pair for pair in named if not (ROOT / pair[1]).exists()] == []


def test_every_page_that_the_code_names_exists() -> None:
    folders = ("autosched", "workers", "examples", "search_spaces", "benchmarks", "tests")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.suffix in {".py", ".yaml"}]
    named = {
        (str(file.relative_to(ROOT)), path)
        for file in [*files, ROOT / "CHANGELOG.md", ROOT / "Makefile"]
        for path in re.findall(r"docs/[\w./-]+\.md", file.read_text())
    }
    assert [pair for pair in named if not (ROOT / pair[1]).exists()] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            ahead += [file for _, file, _ in targets(page)]
    assert [name for name, page in PAGES.items() if page not in seen and name != "CONTRIBUTING.md"] == []


def test_every_figure_of_a_page_is_the_measured_one() -> None:
    wrong = {name: cited(page.read_text())[1] for name, page in PAGES.items()}
    assert {name: lines for name, lines in wrong.items() if lines} == {}, "python benchmarks/cite.py --write"


def test_a_figure_that_drifts_or_is_not_there_is_named() -> None:
    drifted = "x <!-- figure: replay-law-25000.horizon -->24000<!-- /figure -->"
    repaired, wrong = cited(f"{drifted}\n\ny <!-- figure: no-such.key -->1<!-- /figure -->")
    assert "-->25000<!--" in repaired
    assert [line.split(":")[0] for line in wrong] == ["1", "3"]
    assert "no-such.json" in wrong[1]


def test_a_figure_that_begins_a_line_is_refused_because_markdown_reads_on_as_html() -> None:
    assert "begin a line" in cited("<!-- figure: replay-law-25000.horizon -->25000<!-- /figure --> updates")[1][0]


def test_a_measurement_keeps_its_command_seeds_and_values_and_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    program = "import sys; open(sys.argv[1], 'w').write('{\"loss\": 2.5, \"gap\": NaN}')"
    measure("tiny", shlex.join(["A=1", "python", "-c", program, "OUT"]), "0 to 3", folder=tmp_path)
    first = result("tiny", folder=tmp_path)
    assert first["values"] == {"loss": 2.5, "gap": None}
    measure("tiny", None, None, folder=tmp_path)
    assert result("tiny", folder=tmp_path) == first
    with pytest.raises(CitationError, match="exit code 3"):
        measure("tiny", "python -c 'raise SystemExit(3)'", "none", folder=tmp_path)
    measure("said", "python -c 'print(1); print(2, 3)'", "none", folder=tmp_path)
    assert result("said", folder=tmp_path)["values"] == {"lines": ["1", "2 3"]}


def test_every_file_of_results_is_whole_and_a_record_tells_where_it_comes_from() -> None:
    text = "".join(page.read_text() for page in RECORDS)
    files = list(RESULTS.glob("*.json"))
    assert [file.name for file in files if set(json.loads(file.read_text())) != set(FIELDS)] == []
    assert [file.name for file in files if f"figure: {file.stem}@origin" not in text] == []


def test_every_record_tells_where_its_figures_come_from() -> None:
    assert [page.name for page in RECORDS if not any("@origin" in m[1] for m in FIGURE.findall(page.read_text()))] == []


def test_the_reference_is_what_the_code_says() -> None:
    old = {page.name for page in generated_pages() if remade(page.read_text()) != page.read_text()}
    assert old == set(), "python docs/generate.py --write"


def test_every_key_of_a_space_has_a_meaning() -> None:
    text = (ROOT / "docs/reference/space.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \|.*\| *([^|]*) \|$", text, re.MULTILINE)
    assert [key for key, meaning in rows if not meaning.strip()] == []
    assert len(rows) > 50


def shown_commands() -> set[tuple[str, str]]:
    """Page, and a line of the program's, with the lines that go on with it."""
    found = set()
    for name, page in PAGES.items():
        blocks = [*(match[0] for match in CODE.finditer(page.read_text())), *re.findall(r"`[^`\n]+`", prose(page))]
        for block in blocks:
            text = block.strip("`").replace("\\\n", " ")
            found |= {(name, line) for line in re.findall(r"^autosched ([a-z][a-z-]*.*)$", text, re.MULTILINE)}
    return found


def test_every_command_that_a_page_shows_exists_and_has_the_options_shown() -> None:
    shown = shown_commands()
    unknown = [pair for pair in shown if pair[1].split()[0] not in COMMANDS]
    assert unknown == []
    for name, line in shown:
        command, *words = shlex.split(line, comments=True)
        known = {option for parameter in load_command(command).params for option in parameter.opts}
        options = {word for word in words if re.match(r"--?[a-z]", word)}
        assert options <= known | {"--help"}, (name, line)
    assert len(shown) > 80


def test_the_space_that_the_tutorial_makes_of_the_demo_is_sound() -> None:
    page = (ROOT / "docs/tutorial/first-study.md").read_text()
    changes = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])
    demo = yaml.safe_load((ROOT / "search_spaces/wsd.yaml").read_text())
    space = read_space(parse_document(yaml.safe_dump({**demo, **changes}), file="mine.yaml"))
    assert {family.family for family in space.schedule} == {"wsd", "cosine"}


def test_the_readme_is_at_most_120_lines() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_reader_finds_at_least_ten_answers_each_in_a_file() -> None:
    text = (ROOT / "docs/explanation/architecture.md").read_text()
    table = text.partition("## Where to look")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\| .+\? \| \[`.+`\]\(.+\) \|$", table, re.MULTILINE)) >= 10
