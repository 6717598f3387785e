"""Read what MIDI files say of tempo, metre and chords, and whether to believe it."""
