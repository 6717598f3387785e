"""Turn one manifest into the next: a file for each stage."""
