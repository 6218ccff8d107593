"""How MLflow's pages show a study: its own shared views, which are tags of the experiment, and links that open them.

    tag of the experiment               meaning to MLflow 3
    mlflow.experimentKind               opens it for model training, not for GenAI
    mlflow.sharedViewState.KEY          a view that ``?viewStateShareKey=KEY`` opens: filter, order, columns, charts

Runs that are sorted by a metric are listed flat; MLflow nests them under their parent only when sorted by their time.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

KIND = {"mlflow.experimentKind": "custom_model_development"}
SHARED = "mlflow.sharedViewState."
MODE = "workflowType=machine_learning"
SECTION = "autosched"
COLUMNS = ("metrics.`value`", "metrics.`forecast`", "params.`peak_lr`", "params.`role`")
CHARTS = {
    "loss and its forecast": ("loss", "forecast", "forecast_low", "forecast_high"),
    "learning rate": ("lr_plan", "lr"),
}
"""Metrics that are drawn in one chart."""


def view_key(study: str) -> str:
    """The key of a study's view."""
    return f"autosched.{study}"


def study_view(study: str) -> dict[str, str]:
    """The tag with the view of a study: its trials in a flat list, best first, and its charts."""
    view = {
        "searchFilter": f"tags.`autosched.study` = '{study}'",
        "orderByKey": "metrics.`value`",
        "orderByAsc": True,
        "selectedColumns": list(COLUMNS),
        "compareRunSections": [_card(SECTION, name=SECTION, display=True, isReordered=False)],
        "compareRunCharts": [_chart(name, list(metrics)) for name, metrics in CHARTS.items()],
    }
    return {f"{SHARED}{view_key(study)}": json.dumps(view)}


def view_link(server: str, experiment: str, study: str, *, has_view: bool = True) -> str:
    """The address of a study's view on an MLflow server; of its experiment where the tracker has left no view."""
    view = f"&viewStateShareKey={quote(view_key(study))}" if has_view else ""
    return f"{server}/#/experiments/{experiment}/runs?{MODE}{view}"


def _card(identity: str, **fields: Any) -> dict[str, Any]:
    return {"uuid": identity, "deleted": False, "isGenerated": False, **fields}


def _chart(name: str, metrics: list[str]) -> dict[str, Any]:
    """A line chart as MLflow keeps it."""
    return _card(
        f"{SECTION}-{metrics[0]}",
        type="LINE",
        metricSectionId=SECTION,
        displayName=name,
        metricKey=metrics[0],
        selectedMetricKeys=metrics,
        scaleType="linear",
        xAxisKey="step",
        xAxisScaleType="linear",
        selectedXAxisMetricKey="",
        useGlobalXaxisKey=True,
        lineSmoothness=0,
        useGlobalLineSmoothing=True,
        runsCountToCompare=10,
        range={},
    )
