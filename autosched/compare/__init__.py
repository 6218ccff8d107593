"""Ways to search, side by side: equal budget, equal seeds, one table."""
