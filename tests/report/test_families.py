"""The list of families names every one of them, with what it takes; the page in docs/ is that list."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from autosched.report.families import (
    COMMON,
    families_document,
    families_lines,
    family_document,
    family_lines,
    own_parameters,
)
from autosched.schedules import family_names, get_family

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "families.md").read_text()


def test_the_page_names_every_family_with_formula_and_source() -> None:
    for name in family_names():
        family = get_family(name)
        row = re.search(rf"^\| `{name}` \|.*$", PAGE, re.MULTILINE)
        assert row is not None, name
        assert family.source in row[0]
        assert family.formula in row[0]
        assert ("experimental" in row[0]) == family.experimental
        assert row[0].count(" | ") == 4


def test_the_list_names_every_family_with_its_bounds() -> None:
    text = "\n".join(families_lines())
    assert max(map(len, families_lines())) < 150
    for name in family_names():
        assert re.search(rf"^{name}: ", text, re.MULTILINE)
    assert "peak_lr [0.0001 to 0.1, log], reflection=0.5 [0 to 0.95]" in text
    assert "knot_1..knot_12=0.5 [0.02 to 1, log]" in text
    assert re.search(r"^uba: .* \(experimental: its source could not be read\)$", text, re.MULTILINE)
    assert text.count("experimental") == 1


@pytest.mark.parametrize("name", family_names())
def test_a_family_is_explained_parameter_by_parameter(name: str) -> None:
    family = get_family(name)
    text = "\n".join(family_lines(family))
    assert family.summary in text
    for parameter in own_parameters(family):
        if not re.fullmatch(r"knot_\d+", parameter.name):
            rule = re.escape(parameter.rule[:40])
            assert re.search(rf"^  {parameter.name}: {rule}", text, re.MULTILINE), parameter.name


def test_what_goes_with_any_body_is_not_a_family_s_own() -> None:
    assert [p.name for p in own_parameters(get_family("linear"))] == ["peak_lr", "final_lr_ratio"]
    assert "cooldown_shape" in [p.name for p in own_parameters(get_family("wsd"))]
    assert {"warmup_steps", "cooldown_shape"} <= set(COMMON)


def test_the_document_of_a_family_is_json_and_complete() -> None:
    document = json.loads(json.dumps(families_document(), allow_nan=False))
    assert [family["family"] for family in document] == list(family_names())
    for family in document:
        named = get_family(family["family"])
        assert [parameter["name"] for parameter in family["parameters"]] == list(named.parameters)
        assert family["experimental"] is named.experimental
    power = next(p for family in document if family["family"] == "wsd" for p in family["parameters"] if p["when"])
    assert power["when"] == {"warmup_shape": ["ramp", "logarithmic"]}
    shape = next(p for p in family_document(get_family("wsd"))["parameters"] if p["name"] == "cooldown_shape")
    assert shape["search"] == {"choices": ["linear", "sqrt", "cosine", "exponential", "power"]}


def test_an_experimental_family_says_so_when_it_is_explained() -> None:
    linear = get_family("linear")
    assert not any("experimental" in line for line in family_lines(linear))
    assert "  experimental: its source could not be read" in family_lines(replace(linear, experimental=True))
