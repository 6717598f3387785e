"""Turn the files of a song into parts: read headers, join stereo pairs, find what is there twice, and merge by instrument."""
