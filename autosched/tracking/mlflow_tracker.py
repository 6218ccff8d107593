"""A tracker on MLflow: a parent run for the study, one nested run per trial, found again by tags.

    tag                   on        meaning
    autosched.study       every     name of the study
    autosched.run         every     the key runs are found by: the study's identity, or ``identity/trial``
    autosched.trial       nested    trial number
    autosched.cursor      parent    events of the ledger that were mirrored
    mlflow.parentRunId    nested    makes MLflow show it under the parent

Writing twice is harmless: MLflow's metric table has (run, key, step, time, value) as its primary key, parameters are
only added, tags and artifacts are replaced.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from autosched.errors import TrackingError, TrackingRefusal
from autosched.tracking.mlflow_store import connect, move_artifacts, parse_address
from autosched.tracking.mlflow_view import KIND, study_view
from autosched.tracking.tracker import STUDY, Metric, RunStatus, StudyRun, TrialRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

METRICS_PER_CALL = 1000
PARAMS_PER_CALL = 100
PARAM_CHARACTERS = 6000
NAME_CHARACTERS = 250
BESIDE = "autosched.artifacts_beside_database"
"""Tag of an experiment whose artifacts are in a folder beside its database, wherever that is moved."""
TAG_CHARACTERS = 5000
Item = TypeVar("Item")


def _milliseconds(time: float) -> int:
    return round(time * 1000)


def _name(key: str) -> str:
    """MLflow refuses names with other characters than these, paths that are not in normal form, and long ones."""
    parts = re.sub(r"[^\w.\- :/]", "_", key).split("/")
    name = "/".join(part for part in parts if part.strip(" .")).strip("/ .") or "_"
    if len(name) <= NAME_CHARACTERS:
        return name
    return (
        f"{name[: NAME_CHARACTERS - 9]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"  # two of one beginning differ
    )


def _cut(value: str, characters: int) -> str:
    return value if len(value) <= characters else value[: characters - 1] + "…"


def _texts(values: Mapping[str, str], characters: int) -> dict[str, str]:
    """Parameters or tags as MLflow takes them."""
    return {_name(key): _cut(value, characters) for key, value in values.items()}


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _is_refusal(error: Exception) -> bool:
    """Whether MLflow was there and did not like what it was given."""
    return isinstance(error, TypeError) or getattr(error, "error_code", "") == "INVALID_PARAMETER_VALUE"


def _root_cause(error: BaseException) -> str:
    """The first error of a chain, on one line: what broke, without the layers it was reported through."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return _cut(" ".join(str(error).split()).rstrip(".?") or type(error).__name__, 300)


class MlflowTracker:
    """Writes to an MLflow server, or straight to MLflow's database.

    Args:
        uri: ``sqlite:///FILE``, a PostgreSQL, MySQL or SQL Server URL, or a server's ``http(s)://`` address.
        experiment: name of the MLflow experiment; made when missing.
        artifact_root: where a new experiment keeps its files (a folder or an ``s3://`` address). By default
            ``mlartifacts`` beside a SQLite file, and for everything else what MLflow decides.

    Raises:
        UsageError: the uri is none of these. Whether the place can be reached shows at :meth:`check` and `open`.
    """

    def __init__(self, uri: str, *, experiment: str, artifact_root: str | None = None) -> None:
        self._address = parse_address(uri, artifact_root)
        self._beside = artifact_root is None and self._address.file is not None
        self._experiment = experiment
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._study: StudyRun | None = None
        self._ids: dict[int, str] = {}

    @property
    def uri(self) -> str:
        """Where it writes, without a password; the path of a SQLite file is absolute."""
        return self._address.shown

    def check(self) -> None:
        """Reach the store and find or make the experiment, so that a wrong address is known before work begins.

        Raises:
            TrackingError: unreachable, damaged, refused, or the experiment was deleted.
        """
        with self._guard("; start it or correct the uri (`none` goes without tracking)"):
            self._experiment_id = self._find_experiment(self._connected())

    def open(self, study: StudyRun) -> str:
        """See :meth:`Tracker.open`."""
        with self._guard():
            client = self._connected()
            self._study, self._ids = study, {}
            self._experiment_id = self._find_experiment(client)
            for key, value in {**KIND, **study_view(study.name)}.items():
                client.set_experiment_tag(self._experiment_id, key, value)
            tags = {**study.tags, "autosched.study": study.name}
            return self._begin(STUDY, study.name, study.params, tags, study.time)

    def start_trial(self, trial: TrialRun) -> str:
        """See :meth:`Tracker.start_trial`."""
        with self._guard():
            tags = {
                **trial.tags,
                "autosched.study": self._opened().name,
                "autosched.trial": str(trial.trial),
                "mlflow.parentRunId": self._id(STUDY),
            }
            return self._begin(trial.trial, trial.name, trial.params, tags, trial.time)

    def log(self, run: int, metrics: Sequence[Metric]) -> None:
        """See :meth:`Tracker.log`; at most 1000 metrics per call of MLflow."""
        with self._guard():
            from mlflow.entities import Metric as MlflowMetric

            client, run_id = self._connected(), self._id(run)
            for chunk in _chunks(metrics, METRICS_PER_CALL):
                sent = [MlflowMetric(_name(m.key), m.value, _milliseconds(m.time), m.step) for m in chunk]
                client.log_batch(run_id, metrics=sent)

    def artifact(self, run: int, name: str, data: bytes) -> None:
        """See :meth:`Tracker.artifact`."""
        path = PurePosixPath(name)
        with self._guard(), tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / path.name
            file.write_bytes(data)
            parent = None if path.parent == PurePosixPath() else str(path.parent)
            self._connected().log_artifact(self._id(run), str(file), parent)

    def end(self, run: int, status: RunStatus, *, time: float, tags: Mapping[str, str]) -> None:
        """See :meth:`Tracker.end`."""
        with self._guard():
            client, run_id = self._connected(), self._id(run)
            self._tag(client, run_id, tags)
            client.set_terminated(run_id, status, _milliseconds(time))

    def cursor(self) -> int:
        """See :meth:`Tracker.cursor`."""
        with self._guard():
            return int(self._connected().get_run(self._id(STUDY)).data.tags.get("autosched.cursor", 0))

    def set_cursor(self, events: int) -> None:
        """See :meth:`Tracker.set_cursor`."""
        with self._guard():
            self._connected().set_tag(self._id(STUDY), "autosched.cursor", str(events))

    def close(self) -> None:
        """Let go of the client. MLflow itself keeps a database's engine for the life of the process."""
        self._client, self._study, self._ids = None, None, {}

    @contextmanager
    def _guard(self, advice: str = "") -> Iterator[None]:
        """Turn whatever MLflow, its drivers and its artifact stores raise into one line."""
        try:
            yield
        except TrackingError:
            raise
        except Exception as error:  # plug-in stores raise anything: here is the border
            kind = TrackingRefusal if _is_refusal(error) else TrackingError
            raise kind(f"cannot use the tracking store {self.uri}: {_root_cause(error)}{advice}.") from error

    def _connected(self) -> MlflowClient:
        if self._client is None:
            self._client = connect(self._address)
        return self._client

    def _opened(self) -> StudyRun:
        if self._study is None:
            raise TrackingError("no study is open: call open() first.")
        return self._study

    def _find_experiment(self, client: MlflowClient) -> str:
        found = client.get_experiment_by_name(self._experiment)
        if found is None:
            location = self._address.artifact_root
            tags = {BESIDE: "true"} if self._beside else {}
            try:
                return str(client.create_experiment(self._experiment, artifact_location=location, tags=tags))
            except Exception:  # of whatever kind: did another process make it in this moment?
                if (found := client.get_experiment_by_name(self._experiment)) is None:
                    raise
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"experiment {self._experiment!r} was deleted in {self.uri}: restore it with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or name another one."
            )
        if self._beside and BESIDE in found.tags:
            move_artifacts(self._address, found.experiment_id, found.artifact_location)
        return str(found.experiment_id)

    def _key(self, run: int) -> str:
        identity = self._opened().identity
        return identity if run == STUDY else f"{identity}/{run}"

    def _find(self, run: int) -> Run | None:
        """The run with this key, brought back if someone deleted it (the oldest, should there ever be two)."""
        from mlflow.entities import ViewType

        client = self._connected()
        found = client.search_runs(
            [self._experiment_id],
            filter_string=f"tags.`autosched.run` = '{self._key(run)}'",
            run_view_type=ViewType.ALL,
            max_results=1,
            order_by=["attributes.start_time ASC"],
        )
        for seen in found:
            if seen.info.lifecycle_stage != "active":
                client.restore_run(seen.info.run_id)
            return seen
        return None

    def _id(self, run: int) -> str:
        if run not in self._ids:
            found = self._find(run)
            if found is None:
                raise TrackingError(f"{'the study' if run == STUDY else f'trial {run}'} has no run in {self.uri}.")
            self._ids[run] = str(found.info.run_id)
        return self._ids[run]

    def _begin(self, run: int, name: str, params: Mapping[str, str], tags: Mapping[str, str], time: float) -> str:
        client, found = self._connected(), self._find(run)
        tags = {**tags, "autosched.run": self._key(run)}
        if found is None:  # with its tags at once: a run that was made, but not answered for, is found again
            found = client.create_run(
                self._experiment_id, start_time=_milliseconds(time), tags=_texts(tags, TAG_CHARACTERS), run_name=name
            )
        else:
            self._tag(client, str(found.info.run_id), tags)
        run_id = self._ids[run] = str(found.info.run_id)
        self._add_params(client, run_id, params, known=found.data.params)
        if found.info.status != "RUNNING":
            client.update_run(run_id, status="RUNNING")
        return run_id

    @staticmethod
    def _add_params(client: MlflowClient, run_id: str, params: Mapping[str, str], *, known: Mapping[str, str]) -> None:
        """Write the parameters that are not there yet: MLflow refuses to change one."""
        from mlflow.entities import Param

        named = _texts(params, PARAM_CHARACTERS)
        sent = [Param(key, value) for key, value in named.items() if key not in known]
        for chunk in _chunks(sent, PARAMS_PER_CALL):
            client.log_batch(run_id, params=chunk)

    @staticmethod
    def _tag(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        sent = [RunTag(key, value) for key, value in _texts(tags, TAG_CHARACTERS).items()]
        for chunk in _chunks(sent, PARAMS_PER_CALL):
            client.log_batch(run_id, tags=chunk)
