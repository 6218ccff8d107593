"""What the numbers of ``autosched/laws/priors.py`` matter, on runs that none of them was chosen on.

    python benchmarks/law_numbers.py [NAME ...]

Each number is halved and doubled, and the preset ``fast`` forecasts the ends of the AlgoPerf runs (WMT and OGBG, five
studies of eight runs each) from half of a run and the study's other runs. Printed is by how much the mean log score of
the 80 forecasts changes, in nats, with the standard error of the paired differences; higher is better.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import t as student

from autosched.laws import priors

GROUPS = ("algoperf_wmt", "algoperf_ogbg")
POINTS = 10
FAST = (
    *("NOISE", "FIRST_SHARE", "FUNCTIONAL_CENTRE", "FUNCTIONAL_SD", "UNITS_PER_HORIZON", "RECENT_SHARE", "NEAR_PEAK"),
    *("LASTING_EFOLDS", "LEAST_RESIDUAL", "RUNNING_TRIALS", "INFLATION_RUNS"),
    *("CALIBRATION_RUNS", "LEAST_SD"),
)
"""The numbers that ``fast`` reads."""


def scaled(value: Any, factor: float) -> Any:
    """A number, a vector or the amplitudes of a kernel, times the factor."""
    if isinstance(value, priors.KernelPrior):
        return dataclasses.replace(
            value, shared=value.shared * factor, near=value.near * factor, own=value.own * factor
        )
    if isinstance(value, tuple):
        return tuple(one * factor for one in value)
    return max(round(value * factor), 1) if isinstance(value, int) else value * factor


def scores(name: str, factor: float) -> list[float]:
    """Log scores of all forecasts with one number changed; the modules that read it are loaded after the change."""
    setattr(priors, name, scaled(getattr(priors, name), factor))
    from autosched.curves.curve import Curve
    from autosched.laws.fit import FitFailure, thinned
    from autosched.laws.forecaster_fit import forecast_run
    from autosched.testing.published_curves import published_group

    studies: dict[tuple[str, str], list[Curve]] = {}
    for group in GROUPS:
        for curve in published_group(group):
            seed = re.findall(r"_s(\d+)", curve.name)[-1]
            ended = dataclasses.replace(
                curve, schedule=type(curve.schedule)(curve.schedule.lrs[: int(curve.steps[-1])])
            )
            studies.setdefault((group, seed), []).append(ended)
    found = []
    for curves in studies.values():
        whole = [thinned(curve, most=POINTS) for curve in curves]
        for i, curve in enumerate(curves):
            half = thinned(curve.until(0.5 * curve.schedule.steps), most=POINTS)
            end = forecast_run(half, [other for j, other in enumerate(whole) if j != i])
            if isinstance(end, FitFailure):
                found.append(np.nan)
                continue
            error = (np.log(curve.losses[-1]) - end.log_mean[0]) / end.sd[0]
            found.append(float(student.logpdf(error, end.degrees) - np.log(end.sd[0])))
    return found


def changed(name: str, factor: float) -> np.ndarray:
    """:func:`scores` in a process of its own."""
    command = [sys.executable, __file__, "--one", name, str(factor)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return np.array(json.loads(done.stdout), dtype=np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *FAST], help="numbers; all that `fast` reads by default")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "FACTOR"), help="the log scores of one change, as JSON")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(scores(arguments.one[0], float(arguments.one[1]))))
        return
    before = changed(FAST[0], 1.0)
    print(f"as it is: {np.nanmean(before):.3f} over {before.size} forecasts")
    for name in arguments.names or FAST:
        told: Mapping[float, np.ndarray] = {factor: changed(name, factor) - before for factor in (0.5, 2.0)}
        parts = [
            f"x{factor:g}: {np.nanmean(gaps):+.3f} ± {np.nanstd(gaps) / np.sqrt(gaps.size):.3f}"
            for factor, gaps in told.items()
        ]
        print(f"{name:22s}" + "   ".join(parts), flush=True)


if __name__ == "__main__":
    main()
