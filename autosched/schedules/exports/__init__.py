"""Ways out of a `Schedule`, one file a target; `targets` has them by name."""
