"""Trains by running a command: any script, in any language, that takes its LRs from a file, an option or `attach`."""
