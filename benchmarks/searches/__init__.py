"""What ``benchmarks/replay.py`` is made of: worlds to search in, searches, and the figures they get."""
