"""Find beats and bars of a track, from what people wrote down, from MIDI or from audio, and check them against the sound."""
