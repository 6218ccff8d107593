"""A study in a real notebook."""

from __future__ import annotations

from pathlib import Path

import nbclient
import nbformat
import pytest

CODE = """\
import autosched
study = autosched.tune("space.yaml", overrides={"budget.trials": 2}, backend="local")
display(study.plot())
study
"""


@pytest.mark.slow
def test_a_cell_keeps_how_the_study_went_a_figure_and_the_study_itself(folder: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    nbclient.NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [output for output in notebook.cells[0].outputs if output.output_type != "stream"]
    progress, figure, study = (output.data for output in shown)
    assert progress["text/html"].startswith('<progress value="1.000" max="1"></progress> <table><tr><th>budget</th>')
    assert "trial 0 (default) complete: loss " in progress["text/html"]
    assert "2 of 2 trials" in progress["text/plain"]
    assert figure["image/png"]
    assert study["text/html"].startswith("<table><tr><th>study</th><td>s, finished")
