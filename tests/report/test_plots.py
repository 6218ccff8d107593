from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from example_study import HORIZON, SPACE, Study, example_study, losses_of, search_of_fourteen, wsd
from matplotlib.figure import Figure
from matplotlib.image import imread

from autosched.errors import ScheduleError
from autosched.ledger.state import StudyState
from autosched.report import plots
from autosched.report.canvas import png
from autosched.report.curves import DRAWN_TRIALS, drawn, merged_of, thinned
from autosched.report.reliability_plot import reliability
from autosched.schedules import Schedule, build
from autosched.space.records import Space

Draw = Callable[[StudyState, Space], Figure | None]
FIGURES: tuple[Draw, ...] = (
    plots.lr_curves,
    plots.loss_curves,
    plots.winner_and_default,
    plots.forecasts,
    reliability,
    plots.parameter_plot,
    plots.costs,
)


def pixels(drawn: Figure | bytes | None) -> np.ndarray:
    assert drawn is not None
    return imread(io.BytesIO(drawn if isinstance(drawn, bytes) else png(drawn)), format="png")


@pytest.mark.parametrize("draw", FIGURES)
def test_a_figure_is_a_png_with_something_on_it(draw: Draw) -> None:
    image = pixels(draw(example_study().state, SPACE))
    assert image.shape[1] > 900
    assert 0.001 < np.mean(image[..., :3].min(axis=2) < 0.9) < 0.6


@pytest.mark.parametrize("draw", FIGURES)
def test_there_is_no_figure_of_nothing(draw: Draw) -> None:
    assert draw(Study().state, SPACE) is None


@pytest.mark.parametrize("draw", FIGURES)
def test_a_figure_of_a_study_that_has_just_begun_does_not_fail(draw: Draw) -> None:
    study = Study()
    study.begin()
    study.train(study.propose(wsd(0.01, 0.2)))
    drawn = draw(study.state, SPACE)
    assert drawn is None or pixels(drawn).size


def test_the_lowest_merged_loss_is_drawn_where_there_is_one() -> None:
    study = example_study()
    before = pixels(plots.loss_curves(study.state, SPACE))
    trial = study.state.trials[0]
    trial.points[4:6] = [replace(point, merged={3: 2.0, 6: 1.5}) for point in trial.points[4:6]]
    steps, losses = merged_of(trial)
    assert (steps.tolist(), losses.tolist()) == ([point.step for point in trial.points[4:6]], [1.5, 1.5])
    assert not np.array_equal(before, pixels(plots.loss_curves(study.state, SPACE)))


def test_equal_studies_give_equal_bytes() -> None:
    first, second = (plots.costs(example_study().state, SPACE) for _ in range(2))
    assert first is not None
    assert second is not None
    assert png(first) == png(second)


def test_a_default_that_wins_is_drawn_once() -> None:
    study = Study()
    study.begin()
    study.propose(wsd(0.01, 0.2), "default")
    study.complete(0)
    assert pixels(plots.winner_and_default(study.state, SPACE)).shape[0] > 500


def test_a_study_without_a_finished_trial_has_curves_but_no_parameter_plot() -> None:
    study = Study()
    study.begin()
    study.diverge(study.propose(wsd(0.09, 0.2)), 75)
    assert plots.loss_curves(study.state, SPACE) is not None
    assert plots.parameter_plot(study.state, SPACE) is None


def test_thinning_a_long_schedule_keeps_its_ends_and_its_corners() -> None:
    params = {"peak_lr": 0.01, "warmup_steps": 777, "cooldown_fraction": 0.123456}
    schedule = build("wsd", params, steps=100_000)
    steps, lrs = thinned(schedule)
    assert steps.size < 1000
    assert (steps[0], steps[-1]) == (0, 99_999)
    np.testing.assert_allclose(np.interp(np.arange(100_000), steps, lrs), schedule.lrs, atol=1e-9)


def test_of_very_many_trials_the_best_and_the_default_are_drawn() -> None:
    study = Study()
    study.begin()
    study.propose(wsd(0.001, 0.2), "default")
    study.complete(0)
    for index in range(DRAWN_TRIALS + 50):
        number = study.propose(wsd(0.002 + 1e-5 * index, 0.4))
        study.end(number, "complete", value=float(losses_of(study.schedules[number], 0)[-1]))
    chosen = [trial.number for trial in drawn(study.state)]
    assert len(chosen) == DRAWN_TRIALS
    assert chosen == sorted(chosen)
    assert {0, study.state.best} <= set(chosen)


def test_schedules_are_plotted_with_their_labels() -> None:
    two = pixels(plots.schedule_plot([wsd(0.02, 0.4), wsd(0.001, 0.2)], ["first", "second"]))
    one = pixels(plots.schedule_plot([wsd(0.02, 0.4)], ["first"]))
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("plot", [plots.schedule_plot, plots.terminal_plot])
def test_a_plot_refuses_missing_schedules_and_labels(plot: Callable[..., object]) -> None:
    with pytest.raises(ScheduleError, match="at least one schedule"):
        plot([], [])
    with pytest.raises(ScheduleError, match="labels must name each of 1 schedules, but got 2"):
        plot([Schedule([0.1])], ["a", "b"])


def test_the_terminal_plot_has_the_asked_size() -> None:
    text = plots.terminal_plot([wsd(0.02, 0.4), wsd(0.01, 0.4)], ["a", "b"], width=50, height=5)
    lines = text.splitlines()
    assert len(lines) == 2 * (1 + 5) + 2
    assert max(map(len, lines)) == 50


def test_the_terminal_plot_shows_the_peak_at_the_top_and_the_end_at_the_bottom() -> None:
    lines = plots.terminal_plot([wsd(0.02, 0.2)], ["wsd"], width=60, height=6).splitlines()
    top, bottom = lines[1].split("│")[1], lines[6].split("│")[1]
    assert lines[1].strip().startswith("0.02")
    assert sum(cell != "⠀" for cell in top) > 0.7 * len(top)
    assert bottom[-1] != "⠀"


def test_a_schedule_of_zeros_can_be_drawn() -> None:
    zeros = Schedule(np.zeros(HORIZON))
    assert "⣀" in plots.terminal_plot([zeros], ["nothing"])
    assert plots.schedule_plot([zeros], ["nothing"]).startswith(b"\x89PNG")


def test_a_shorter_schedule_ends_early_in_the_terminal_plot() -> None:
    text = plots.terminal_plot([wsd(0.02, 0.2), Schedule(np.full(300, 0.02))], ["long", "short"], height=4)
    short = text.splitlines()[6].split("│")[1]
    assert short.rstrip("⠀") == short[: -(len(short) // 2)]


def test_drawing_touches_no_global_state_of_matplotlib() -> None:
    code = (
        "import sys; import autosched.report.html, autosched.report.text\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from autosched.report.plots import schedule_plot; from autosched.schedules import Schedule\n"
        "schedule_plot([Schedule([0.1, 0.2])], ['a'])\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_search_of_one_loss_value_has_figures() -> None:
    study = search_of_fourteen()
    for trial in study.state.trials:
        trial.value = None if trial.value is None else 2.0
    assert all(draw(study.state, SPACE) is not None for draw in FIGURES)
