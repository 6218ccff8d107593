"""Which recipes the benchmark runs, and what it reads of their gain."""

from __future__ import annotations

from recipes import GAIN, NAMES, ROOT


def test_every_recipe_with_a_space_is_measured() -> None:
    assert set(NAMES) == {space.stem for space in (ROOT / "examples").glob("*.yaml")}


def test_the_gain_is_read_as_studies_and_the_recipe_of_logs_print_it() -> None:
    for end in (
        ") over the default",
        "; it may be chance) over the default",
        ") over the own cosine, at 600 updates each",
    ):
        found = GAIN.search(f"best  trial 2\ngain +0.0090 nats on 2 fresh seeds (90% interval -0.0027 to +0.0153{end}")
        assert found is not None
        assert found.groups() == ("+0.0090", "2", "-0.0027", "+0.0153")
