"""The performance history: `asv run`. Parameters are only ever appended, so that a figure keeps its past."""
