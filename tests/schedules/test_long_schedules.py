"""A long schedule keeps its family's pieces: whatever is asked of it is what all its LRs in memory would give."""

import pickle
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from autosched.errors import ScheduleError
from autosched.laws.annealing import AnnealingLaw
from autosched.laws.drops import warmup_of
from autosched.laws.functional import FunctionalLaw
from autosched.laws.multi_power import PUBLISHED
from autosched.laws.residual import history
from autosched.ledger.records import SegmentIds, cut_points
from autosched.ledger.state import StudyState
from autosched.schedules import Schedule, build
from autosched.schedules.pieces import Piece, Pieces
from autosched.schedules.schedule import KEPT, MOST_UPDATES
from autosched.search.law_candidates import Candidates
from autosched.space import space_from_json
from autosched.space.trainer_spec import TrainerSpec

STEPS = 200_003
WARM = {"peak_lr": 0.01, "warmup_steps": 2_001}
CASES = {
    "constant": ("constant", WARM),
    "no_warmup": ("linear", {"peak_lr": 0.01}),
    "linear_cooldown": ("wsd", {**WARM, "cooldown_fraction": 0.3}),
    "sqrt_cooldown": ("wsd", {**WARM, "cooldown_fraction": 0.05, "cooldown_shape": "sqrt"}),
    "cosine": ("cosine", {**WARM, "final_lr_ratio": 0.1}),
    "bent_warmup": ("exponential", {**WARM, "warmup_shape": "logarithmic", "final_lr_ratio": 0.01}),
    "inverse_sqrt": ("inverse_sqrt", {**WARM, "timescale_steps": 100}),
    "power": ("power", WARM),
    "steps": ("step_decay", {**WARM, "drops": 7}),
    "restarts": ("warm_restarts", {**WARM, "cycles": 40}),
    "cycles": ("cyclic", {"peak_lr": 0.01, "cycles": 100, "base_lr_ratio": 0.1}),
    "wsd_s": ("wsd_s", {**WARM, "checkpoints": 5}),
    "stairs": ("cosine", {**WARM, "stair_steps": 5_000, "min_lr": 1e-4}),
    "floor": ("cosine", {**WARM, "decay_steps": 90_001, "min_lr": 1e-3}),
    "spline": ("spline", {**WARM, "spline_kind": "free"}),
    "expression": ("expression", {"peak_lr": 0.01, "expression": "peak * (0.5 + 0.4 * cos(20 * t / T))"}),
    "recipe": ("nanogpt", {"peak_lr": 0.01, "warmup_iters": 2_000, "lr_decay_iters": 150_000}),
}
LAWS = (
    FunctionalLaw(
        floor=2.5,
        scale=0.6,
        exponent=0.4,
        noise=0.3,
        noise_power=1.0,
        noise_peak_power=1.0,
        time_power=0.9,
        time_peak_power=0.8,
        speed=2.0,
        saturation=0.6,
        reference_lr=0.01,
        reference_steps=8_000.0,
    ),
    replace(PUBLISHED["100M"], warmup_drops=False),
    AnnealingLaw(floor=2.5, scale=2.0, exponent=0.4, gain=20.0, memory=0.04),
)


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest) -> Schedule:
    """One schedule of pieces."""
    family, params = CASES[request.param]
    return build(family, params, steps=STEPS)


@pytest.fixture(scope="module")
def listed(made: Schedule) -> Schedule:
    """The same with its LRs in memory."""
    return Schedule(made.lrs, made.family, made.params)


def test_it_keeps_no_lrs_and_is_the_schedule_of_its_lrs(made: Schedule, listed: Schedule) -> None:
    assert made.is_made
    assert not listed.is_made
    assert made == listed
    assert len({made, listed}) == 1
    assert (made.peak_lr, made.final_lr, made.fingerprint) == (listed.peak_lr, listed.final_lr, listed.fingerprint)
    assert made.part(65_000, 140_000).tobytes() == listed.lrs[65_000:140_000].tobytes()
    updates = np.array([0, 1, 2_000, 2_001, 65_535, 65_536, 130_000, STEPS - 1])
    assert made.lr_at(updates).tobytes() == listed.lrs[updates].tobytes()
    assert made.prefix(100_000) == listed.prefix(100_000)
    assert made.common_steps(Schedule(np.append(listed.lrs[:99_000], 7.0))) == 99_000


def test_files_and_processes_get_its_family_and_give_back_its_bits(made: Schedule, listed: Schedule) -> None:
    text, sent = made.to_json(), pickle.dumps(made)
    assert max(len(text), len(sent)) < 2_000
    for arrived in (Schedule.from_json(text), Schedule.from_json(listed.to_json()), pickle.loads(sent)):
        assert (arrived, arrived.family, dict(arrived.params)) == (made, made.family, dict(made.params))


def test_segments_have_the_names_that_all_lrs_give_them(made: Schedule, listed: Schedule) -> None:
    trainer, cuts = TrainerSpec(use="simulated", options={}), cut_points(STEPS, every=30_000)
    a, b = (SegmentIds(trainer, seed=1, eval_every=5_000, schedule=each, cuts=cuts) for each in (made, listed))
    assert a[90_000] == b[90_000]
    assert dict(a) == dict(b)


ASKED = np.array([500.0, 2_001.0, 15_000.0, 60_000.0, 121_111.0, 199_000.0, STEPS])
SAWTEETH = frozenset({"restarts", "cycles", "wsd_s"})


def test_the_sums_of_its_lrs_are_those_of_all(made: Schedule, listed: Schedule) -> None:
    assert warmup_of(made.outline) == warmup_of(listed.outline)
    assert made.outline.total() == pytest.approx(listed.outline.total(), rel=5e-6)
    assert history(made, ASKED) == pytest.approx(history(listed, ASKED), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in CASES if name not in SAWTEETH | {"bent_warmup"}])
def test_a_law_sees_what_it_sees_in_all_lrs(name: str) -> None:
    family, params = CASES[name]
    made = build(family, params, steps=STEPS)
    listed, steps = Schedule(made.lrs), ASKED
    for law in LAWS:  # which cut what changes at every update into pieces, for an error as large
        assert law.predict_at(made, steps) == pytest.approx(law.predict_at(listed, steps), rel=3e-4, abs=3e-4), law.name


@pytest.mark.parametrize("listed", [False, True])
def test_a_law_sees_the_jumps_of_sawteeth_as_its_formula_does(*, listed: bool) -> None:
    family, params = CASES["wsd_s"]
    made = build(family, params, steps=STEPS)
    law, lrs = LAWS[1], made.lrs
    area = np.concatenate(([0.0], np.cumsum(lrs)))
    steps = ASKED[2:5].astype(int)
    expected = []
    for step in steps:
        after = np.arange(warmup_of(made.outline), step)
        since = area[step] - area[after]
        low = np.maximum(lrs[after], 1e-3 * lrs.max())
        grown = 1 - (1 + law.speed * low**-law.lr_power * since) ** -law.saturation
        reduction = np.sum((lrs[after - 1] - lrs[after]) * grown)
        expected.append(law.floor + law.scale * area[step] ** -law.exponent - law.drop * reduction)
    seen = Schedule(lrs) if listed else made
    assert law.predict_at(seen, steps.astype(float)) == pytest.approx(expected, abs=3e-4)


def test_the_outline_of_straight_lines_is_short_and_exact() -> None:
    wsd = build("wsd", {**WARM, "cooldown_fraction": 0.3}, steps=MOST_UPDATES)
    assert wsd.outline.updates.size < 1_100
    assert wsd.outline.total() == pytest.approx(
        0.01 * (1_000.5 + 0.7 * MOST_UPDATES - 2_001 + 0.15 * MOST_UPDATES), rel=1e-6
    )


def test_lrs_that_alternate_faster_than_an_outline_can_follow_are_averaged() -> None:
    fast = build("cyclic", {"peak_lr": 0.01, "cycles": 50_000, "base_lr_ratio": 0.0}, steps=1_000_000)
    assert fast.outline.updates.size <= 20_000
    assert fast.outline.total() == pytest.approx(float(fast.lrs.sum()), rel=0.02)


def test_a_short_schedule_keeps_its_lrs() -> None:
    assert not build("cosine", WARM, steps=KEPT).is_made
    assert build("cosine", WARM, steps=KEPT + 1).is_made


def test_a_long_schedule_with_an_impossible_lr_is_refused_where_it_is_seen() -> None:
    with pytest.raises(ScheduleError, match=r"lrs must be finite and >= 0, but update \d+ has -"):
        Schedule.of_pieces(Pieces.of([Piece(100_000, lambda j: 1.0 - j / 50_000)]))
    hidden = Pieces.of([Piece(100_000, lambda j: np.where(j == 77_777, -1.0, 1.0))])
    with pytest.raises(ScheduleError, match=r"lrs must be finite and >= 0, but update 77777 has -1\.0"):
        Schedule.of_pieces(hidden).prefix_fingerprint(100_000)


@pytest.mark.parametrize("edit", ['"steps": 200003', '"peak_lr": 0.01'])
def test_a_file_without_lrs_that_was_edited_is_refused(edit: str) -> None:
    text = build("cosine", WARM, steps=STEPS).to_json()
    assert edit in text
    with pytest.raises(ScheduleError, match='do not match "fingerprint"'):
        Schedule.from_json(text.replace(edit, f"{edit}5"))


def test_the_candidates_of_a_search_at_a_million_updates_need_no_arrays() -> None:
    peak = {"low": 1e-3, "high": 1e-1, "scale": "log"}
    document = {
        "study": "long",
        "trainer": {"use": "simulated"},
        "horizon_steps": 1_000_000,
        "schedule": {
            "wsd": {"peak_lr": peak, "cooldown_fraction": {"low": 0.05, "high": 1.0}},
            "cosine": {"peak_lr": peak},
        },
        "controller": "law",
        "budget": {"trials": 8},
    }
    tracemalloc.start()
    try:
        found = Candidates(space_from_json(document), size=40, near=8)
        costs = {candidate.cost_to_go(StudyState("long")) for candidate in found.pool}
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert costs == {1_000_000}
    assert most < 30e6  # 40 arrays of a million LRs are 320 MB
