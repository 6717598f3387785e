"""Tell of coded files that lack pieces: a decoder skips a damaged page or frame, and all that follows sounds too early.

One wrong byte in an Ogg file costs a page, often most of a second. Decoders of FLAC refuse such files by themselves.

Formats: RFC 3533 (Ogg), ISO/IEC 11172-3 (MPEG audio), the Xing header of the LAME project.
"""

import re
import struct
import zlib
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path

from instructme.dataset_tools import broken_headers

DETAIL = "pieces of it are missing or damaged, so that its sound jumps: copy or download it again"
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_CHECKSUM = slice(22, 26)
_SYNC = re.compile(rb"\xff[\xe2-\xff]")
_IN_A_ROW = 3
"""So many frames follow each other where MPEG audio goes on; other bytes look like one by chance."""
_MOST_UNCOUNTED = 1
"""Encoders count the info frame, or do not."""


def lacks_pieces(path: Path) -> bool:
    """Tell whether an Ogg file lacks pages, or an MP3 file frames that its info frame counts."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        head = data[:4]
        if head == b"OggS":
            return _lacks_pages(data)
        return (head[:3] == b"ID3" or broken_headers.mpeg_frame(head) is not None) and _lacks_frames(data)


def _lacks_pages(data: mmap) -> bool:
    """Follow the pages of each stream: their numbers count up, their checksums are right, the last one is whole."""
    at, numbers = 0, dict[bytes, int]()
    while data[at : at + 4] == b"OggS":
        table = at + 27 + data[at + 26]
        stop = table + sum(data[at + 27 : table])
        page, (number,) = data[at:stop], struct.unpack_from("<I", data, at + 18)
        stream = page[14:18]
        if stop > len(data) or number != numbers.get(stream, number) or _checksum(page) != page[_CHECKSUM]:
            return True
        numbers[stream], at = number + 1, stop
    return data.find(b"OggS\0", at) >= 0


def _checksum(page: bytes) -> bytes:
    """Make the checksum of a page: that of zlib with the bits of all bytes in the other order, and without its inversions."""
    mirrored = (page[: _CHECKSUM.start] + bytes(4) + page[_CHECKSUM.stop :]).translate(_MIRRORED)
    return ((zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF).to_bytes(4, "big")).translate(_MIRRORED)


def _lacks_frames(data: mmap) -> bool:
    """Count the frames of MPEG audio, also behind damaged ones, and compare with the number that the info frame states."""
    at = broken_headers.first_mpeg_frame(data[:10])
    first = broken_headers.mpeg_frame(data[at : at + 4])
    info = data[at + 4 + first.side_bytes :][:12] if first else b""
    if info[:4] not in (b"Xing", b"Info") or not info[7] & 1:
        return False
    count, stated = -1, int.from_bytes(info[8:12])
    while at >= 0:
        for place, frame in broken_headers.mpeg_frames(data, at):
            count, at = count + 1, place + frame.size
        at = next((match.start() for match in _SYNC.finditer(data, at) if _goes_on(data, match.start())), -1)
    return count < stated - _MOST_UNCOUNTED


def _goes_on(data: mmap, at: int) -> bool:
    return len([*islice(broken_headers.mpeg_frames(data, at), _IN_A_ROW)]) == _IN_A_ROW
