"""The faults that are planted to try the tests can be planted: their texts stand in the product."""

from __future__ import annotations

import ast

import pytest
from faults_to_plant import FAULTS, Fault
from planted_faults import ROOT


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_stands_in_one_place_and_leaves_a_program(fault: Fault) -> None:
    path, before, after = fault.planted(ROOT)
    assert after != before, path
    ast.parse(after)
