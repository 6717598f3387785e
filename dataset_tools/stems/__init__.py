"""Turn the files of a song into parts: read headers, join stereo pairs, find doubled stems, merge by instrument."""
