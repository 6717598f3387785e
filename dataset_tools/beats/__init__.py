"""Find beats and bars of a track, from annotations, MIDI or audio, and check them against the sound."""
