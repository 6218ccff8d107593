"""What a study found, for people and machines: a JSON summary, plots, one HTML file, lines for a terminal."""
