"""Draw the five edit tasks: one file per task."""
