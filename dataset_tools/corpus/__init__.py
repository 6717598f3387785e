"""Render the built-in multitrack corpus with its ground truth."""
