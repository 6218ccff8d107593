"""What the comparisons of ends and of batch ramps make of runs that lie in their folders."""

import json
from pathlib import Path

import pytest
from ends import ROWS, RUNS, Trained, lines, picture, table
from seesaw import Runs, best_place, rows


def test_each_row_has_its_best_peak_and_is_compared_seed_by_seed(tmp_path: Path) -> None:
    ends = {end for row in ROWS.values() for end in row.ends}
    for run in RUNS:
        for peak in (0.005, 0.01, 0.02, 0.04, 0.08):
            for seed in (0, 1, 2):
                found = {end: 2.0 + abs(peak - 0.04) + len(end) / 100 + seed for end in ends}
                (tmp_path / f"{run}-{peak:g}-{seed}-600.json").write_text(json.dumps(found))
    found = table(Trained(folder=tmp_path, horizons=(600,), options={}), {600: [1, 2]})
    assert [row["row"] for row in found] == list(ROWS)
    assert {row["peak_lr"] for row in found} == {0.04}
    cells = {row["row"]: row["at"]["600"] for row in found}
    assert cells["decay: cooldown to zero"]["over_decay"] == 0.0
    assert cells["merge: EMA"]["over_decay"] == pytest.approx(-0.03)  # its name is shorter by three letters
    assert cells["merge: EMA"]["losses"] == pytest.approx([3.07, 4.07])
    assert len(lines(found)) == len(ROWS)
    assert picture(found).startswith(b"\x89PNG")


def test_a_ramp_is_compared_with_its_cosine_at_equal_batches(tmp_path: Path) -> None:
    for seed, losses in ((1, (1.75, 1.76)), (2, (1.77, 1.80))):
        for name, loss in zip((f"cosine-0.02-{seed}-600", f"seesaw-0.02-2-{seed}-600"), losses, strict=True):
            (tmp_path / f"{name}.json").write_text(json.dumps(loss))
    compared = {"cosine": {"peak_lr": 0.02}, "seesaw": {"peak_lr": 0.02, "doublings": 2}}
    cosine, seesaw = rows(Runs(tmp_path, 600, {}), compared, [1, 2])
    assert (cosine["updates"], cosine["over_cosine"]) == (600, 0.0)
    assert (seesaw["updates"], seesaw["over_cosine"]) == (409, pytest.approx(0.02))


def test_a_peak_is_sought_until_the_best_is_within() -> None:
    asked = []

    def loss_at(place: int) -> float:
        asked.append(place)
        return abs(place - 2.2)

    assert best_place(loss_at) == 2
    assert asked == [-1, 0, 1, 2, 3]
