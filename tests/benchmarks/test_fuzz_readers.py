"""Damaged and hostile files for every reader: some of the inputs of the benchmark, which gives them by the thousand."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz_readers import READERS, check, fuzz

INPUTS = 500 // len(READERS)


@pytest.mark.parametrize("name", READERS)
def test_a_reader_takes_what_a_file_says_or_refuses_it_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fuzz(name, INPUTS) is None


@pytest.mark.parametrize("name", sorted(set(READERS) - {"URL"}))
def test_what_is_sound_is_accepted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check(READERS[name], READERS[name].sound.encode())
