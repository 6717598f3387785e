"""What the rows mean: the tables of the toolkit, their provenance, and the names of instruments and genres."""
