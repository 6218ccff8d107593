"""How a study stands, for the metrics that a Ray cluster exports to Prometheus."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any, get_args

from autosched.ledger.events import Stamped, StudyFinished
from autosched.ledger.state import StudyState, TrialStatus
from autosched.report.calibration import Calibration, told_ends
from autosched.space.records import Space

REPORT_SECONDS = 10.0
"""Between reports; Ray itself sends what it was told as often."""
COUNTED = {
    "updates": "Updates that workers trained.",
    "worker_seconds": "Seconds for which workers trained; their rate over autosched_workers is the utilisation.",
}
MEASURED = {
    "segments_in_flight": "Segments that are trained or wait for a worker.",
    "workers": "Workers that the study asks for.",
    "forecast_coverage": "Share of the trials' ends inside the 90% intervals of what was forecast of them.",
    "best_loss": "The lowest loss of a complete trial, nats.",
}


class RayMetrics:
    """Listens to a study and reports it, with its name as a tag; make it when Ray is connected.

    Ray exports each as ``ray_autosched_…``: those of :data:`COUNTED` as counters, those of :data:`MEASURED` as gauges,
    and ``ray_autosched_trials`` by status, of which ``pruned`` counts the prunes.
    """

    def __init__(self, space: Space) -> None:
        from ray.util import metrics

        self._space, self._reported = space, -math.inf
        tagged: dict[str, Any] = {"tag_keys": ("study",)}
        self._counters = {name: metrics.Counter(f"autosched_{name}", told, **tagged) for name, told in COUNTED.items()}
        self._gauges = {name: metrics.Gauge(f"autosched_{name}", told, **tagged) for name, told in MEASURED.items()}
        self._trials = metrics.Gauge("autosched_trials", "Trials by status.", tag_keys=("study", "status"))
        for metric in (*self._counters.values(), *self._gauges.values(), self._trials):
            metric.set_default_tags({"study": space.study})
        self._counted = dict.fromkeys(COUNTED, 0.0)

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        """Report how the study stands now and then, and when it has ended."""
        now = time.monotonic()
        if now < self._reported + REPORT_SECONDS and not isinstance(stamped.event, StudyFinished):
            return
        self._reported = now
        for name, total in {"updates": state.steps_trained, "worker_seconds": state.worker_seconds}.items():
            if total > self._counted[name]:
                self._counters[name].inc(total - self._counted[name])
                self._counted[name] = total
        trials = Counter(trial.status for trial in state.trials)
        for status in get_args(TrialStatus):
            self._trials.set(trials[status], tags={"status": status})
        told, best = told_ends(state, self._space), state.best_trial()
        measured = {
            "segments_in_flight": len(state.in_flight),
            "workers": state.workers,
            "forecast_coverage": Calibration.of(told).coverage90 if told else None,
            "best_loss": best.value if best is not None else None,
        }
        for name, value in measured.items():
            if value is not None:
                self._gauges[name].set(value)
