"""Tell of files that hold several recordings one after the other, as `cat a.mp3 b.mp3 > c.mp3` makes: only the first is read.

Formats: RFC 9639 (FLAC), RFC 3533 (Ogg, "chaining"), the Xing header of the LAME project (MP3).
"""

import mmap
import re
from pathlib import Path

DETAIL = "it holds several recordings one after the other, and only the first is read: convert it to one WAV or FLAC file"
_FLAC = re.compile(rb"fLaC[\0\x80]\0\0\x22")
"""The marker of a stream and the head of its first block, which may be the last one of its metadata."""
_INFO = tuple(bytes(8) + name + bytes(3) for name in (b"Xing", b"Info"))
"""An info frame: zeros, its name, and flags."""
_PAGE, _FIRST = b"OggS\0", b"OggS\0\x02"
"""A page of Ogg, and the first one of a stream. Streams that sound together have their first pages before all others."""


def is_chained(path: Path) -> bool:
    """Tell whether a FLAC, Ogg or MP3 file holds more than one recording. MP3 needs info frames; without them all is read."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        head = data[:4]
        if head == b"fLaC":
            return _FLAC.search(data, 4) is not None
        if head == b"OggS":
            later = [place for flag in b"\0\x01\x04\x05" if (place := data.find(_PAGE + bytes([flag]))) > 0]
            return bool(later) and data.find(_FIRST, min(later)) > 0
        if head[:3] == b"ID3" or (head[0] == 0xFF and path.suffix.lower() == ".mp3"):
            first = min((place for mark in _INFO if (place := data.find(mark)) >= 0), default=-1)
            return first >= 0 and any(data.find(mark, first + 1) > 0 for mark in _INFO)
        return False
