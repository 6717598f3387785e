"""Score edits: metrics of the signal, of harmony, rhythm and instruments, with controls and intervals."""
