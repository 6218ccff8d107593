"""The parts of ``benchmarks/autolrs.py``: AutoLRS and tuned schedules on one trainer, at equal total updates."""
