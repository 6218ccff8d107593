"""From a space's `tracking` section to a tracker."""

from __future__ import annotations

from autosched.space.records import Tracking
from autosched.tracking.mlflow_tracker import MlflowTracker
from autosched.tracking.tracker import Tracker


def make_tracker(tracking: Tracking) -> Tracker | None:
    """The tracker a space asks for; None when tracking is switched off (``uri: none``).

    Raises:
        UsageError: the uri is not one MLflow can write to. Whether it can be reached shows at `check`.
    """
    if tracking.uri == "none":
        return None
    return MlflowTracker(tracking.uri, experiment=tracking.experiment)
