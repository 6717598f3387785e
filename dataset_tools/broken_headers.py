"""Find audio files whose header states a wrong length, and read them to their end as if it were right.

- WAV, AIFF and AU: a recorder that was switched off, or a program that crashed, leaves a size that is too small, and the sound
  goes on behind it. Sizes of a stream (0xFFFFFFFF and the like) are right as they are.
- These, RF64 and W64: a copy that was broken off holds less sound than its header states.
- MP3 without a Xing or Info frame: decoders guess the length from the first frame, which is wrong for a variable bit rate.
- A Broadcast Wave file says when it begins (chunk `bext`, samples since midnight).

Formats: EBU Tech 3285 (Broadcast Wave), EBU Tech 3306 (RF64), Sony Wave64, AIFF 1.3 and AIFF-C of Apple, the audio files of Sun,
ISO/IEC 11172-3 (MPEG audio), the Xing header of the LAME project.
"""

import io
import struct
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

_STREAM, _IN_DS64 = 0x7FFF0000, 0xFFFFFFFF
"""Sizes from here on are those that programs write where they don't know the size. The second one also says that RF64
holds the size in its chunk ds64."""
_TAGS = (b"TAG", b"ID3", b"APETAGEX")
_TIME_REFERENCE_AT = 338
_W64 = bytes.fromhex("72696666 2e91cf11 a5d628db 04c10000")
"""With this identifier a Wave64 file begins."""
_AU_BYTES = {3: 2, 4: 3, 5: 4, 6: 4, 7: 8}
"""Bytes of a sample by the encoding of an AU file; 1 of others."""
_KBPS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates of layer III by index, of MPEG 1 and of MPEG 2 and 2.5."""
_RATES_HZ = (44100, 48000, 32000)


class Repair(NamedTuple):
    """How to read a file: bytes to put in front, and bytes to read instead of others; `detail` is for a person."""

    prefix: bytes
    patches: tuple[tuple[int, bytes], ...]
    detail: str
    skipped: int = 0
    """Bytes at the start that are left out."""


class Facts(NamedTuple):
    """What the bytes of a file say beside what libsndfile reads from them."""

    repair: Repair | None = None
    time_reference: int | None = None
    short_bytes: int = 0
    """Bytes of sound that the header promises and the file doesn't hold."""
    delayed: bool = False
    """MP3 that doesn't say how much silence its encoder put in front."""

    @property
    def wrong_length(self) -> str | None:
        """Describe in one line how the header's length differs from that of the sound."""
        if self.repair and self.repair.patches:
            return self.repair.detail
        short = f"its header states {self.short_bytes} bytes of sound more than the file holds: was it copied as a whole?"
        return short if self.short_bytes else None


def look(file: BinaryIO) -> Facts:
    """Read the facts of an open WAV, RF64, W64, AIFF, AU or MP3 file; nothing is wrong with others. It is left at its start."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    identifier = file.read(len(_W64))
    magic = identifier[:12]
    if magic[:4] in (b"RIFF", b"RF64", b"BW64") and magic[8:] == b"WAVE":
        facts = _chunks(file, size, "<")
    elif magic[:4] == b"FORM" and magic[8:] in (b"AIFF", b"AIFC"):
        facts = _chunks(file, size, ">")
    elif identifier == _W64:
        facts = _w64(file, size)
    elif magic[:4] in (b".snd", b"dns."):
        facts = _au(file, size, ">" if magic[:4] == b".snd" else "<")
    elif magic[:3] == b"ID3" or (len(magic) > 1 and magic[0] == 0xFF and magic[1] & 0xE6 == 0xE2):
        facts = _mp3(file, size)
    else:
        facts = Facts()
    file.seek(0)
    return facts


def opened(path: Path) -> Any:
    """Give soundfile what it can open: the path of a sound file, or a reader that shows it with its header put right."""
    with path.open("rb") as file:
        repair = look(file).repair
    return _Repaired(path.open("rb"), repair) if repair else path


def repaired(file: BinaryIO, repair: Repair) -> Any:
    """Show an open file with its header put right."""
    return _Repaired(file, repair)


class _Repaired(io.RawIOBase):
    """A file with other bytes at some places."""

    def __init__(self, file: BinaryIO, repair: Repair) -> None:
        self._file, self._repair, self._at = file, repair, 0
        self._ahead = len(repair.prefix) - repair.skipped

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        self._at = offset + (self._file.seek(0, io.SEEK_END) + self._ahead if base is None else base)
        return self._at

    def readinto(self, buffer: Any) -> int:
        head = self._repair.prefix[self._at :][: len(buffer)]
        self._file.seek(max(self._at - self._ahead, self._repair.skipped))
        data = bytearray(head + self._file.read(len(buffer) - len(head)))
        for place, patch in self._repair.patches:
            for index, value in enumerate(patch, place + self._ahead - self._at):
                if 0 <= index < len(data):
                    data[index] = value
        self._at += len(data)
        buffer[: len(data)] = data
        return len(data)


def _chunks(file: BinaryIO, size: int, order: str) -> Facts:
    """Walk the chunks of a WAV or AIFF file, of this byte order, up to its sound, and look at what is behind it."""
    at, block, time_reference, long_bytes = 12, 1, None, None
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if name == b"fmt ":
            block = max(1, struct.unpack_from("<H", file.read(16).ljust(16, b"\0"), 12)[0])
        elif name == b"COMM":
            channels, bits = struct.unpack(">H4xH", file.read(8).ljust(8, b"\0"))
            block = max(1, channels * -(-bits // 8))
        elif name == b"bext":
            chunk = file.read(_TIME_REFERENCE_AT + 8)
            time_reference = (
                struct.unpack_from("<Q", chunk, _TIME_REFERENCE_AT)[0] if len(chunk) == _TIME_REFERENCE_AT + 8 else None
            )
        elif name == b"ds64":
            long_bytes = struct.unpack_from("<Q", file.read(16).ljust(16, b"\0"), 8)[0]
        elif name == b"data" and length == _IN_DS64 and long_bytes is not None:
            return Facts(None, time_reference, max(0, at + 8 + long_bytes - size))
        elif name in (b"data", b"SSND"):
            start = at + 8 if name == b"data" else at + 16  # an offset and a block size are in front of the sound of AIFF
            stated = max(0, at + 8 + length - start)
            facts = _compare(file, size, order, start, stated, block, ((at + 4, at + 8), (4, 8)))
            return facts._replace(time_reference=time_reference)
        at += 8 + length + length % 2
    return Facts(None, time_reference)


def _w64(file: BinaryIO, size: int) -> Facts:
    """Walk the chunks of a Wave64 file up to its sound; their sizes count their headers, and they begin at multiples of 8."""
    at = 40
    while at + 24 <= size:
        file.seek(at)
        name, length = struct.unpack("<4s12xQ", file.read(24))
        if name == b"data":
            return Facts(short_bytes=max(0, at + length - size))
        at += max(24, length + -length % 8)
    return Facts()


def _au(file: BinaryIO, size: int, order: str) -> Facts:
    """Read the header of an AU file, and look at what is behind its sound."""
    file.seek(4)
    start, stated, encoding, channels = struct.unpack(f"{order}3I4xI", file.read(20).ljust(20, b"\0"))
    return _compare(file, size, order, start, stated, max(1, channels * _AU_BYTES.get(encoding, 1)), ((8, start),))


def _compare(
    file: BinaryIO, size: int, order: str, start: int, stated: int, block: int, fields: tuple[tuple[int, int], ...]
) -> Facts:
    """Compare the bytes of sound that a header states with those that the file holds from `start` on.

    `fields` are the places of the sizes in the header, and of the first byte that each of them counts.
    """
    held = size - start
    if stated < held and _is_sound(file, order, start + stated, size):
        end = size - held % block
        patches = tuple((field, struct.pack(f"{order}I", end - first)) for field, first in fields)
        detail = f"its header states {stated} bytes of sound, and the file holds {end - start}: it is read to the end"
        return Facts(Repair(b"", patches, detail))
    return Facts(short_bytes=stated - held if held < stated < _STREAM else 0)


def _is_sound(file: BinaryIO, order: str, at: int, size: int) -> bool:
    """Tell whether the bytes behind a sound are more of it: no chunks, no tags, not only zeros."""
    for start in (at, at + at % 2):
        place = start
        while place + 8 <= size:
            file.seek(place)
            name, length = struct.unpack(f"{order}4sI", file.read(8))
            if name.startswith(_TAGS):
                return False
            if not (name.isascii() and name.decode("ascii").isprintable()):
                break
            place += 8 + length + length % 2
        if size <= place <= size + 1 or (place > start and size - place < 8):
            return False
    file.seek(at)
    while block := file.read(1 << 20):
        if block.strip(b"\0"):
            return size - at >= 8
    return False


class _Frame(NamedTuple):
    """An MPEG audio frame of layer III, by its header: its size, and that of the side information behind its header."""

    size: int
    side_bytes: int


def mpeg_frame(header: bytes) -> _Frame | None:
    """Read the four bytes of a frame's header; None if they are none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, index, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or index in (0, 15) or rate == 3:
        return None
    mpeg1 = version == 3
    rate_hz = _RATES_HZ[rate] // {3: 1, 2: 2, 0: 4}[version]
    size = (144 if mpeg1 else 72) * 1000 * _KBPS[mpeg1][index] // rate_hz + (header[2] >> 1 & 1)
    mono = header[3] >> 6 == 3
    return _Frame(size, (17 if mono else 32) if mpeg1 else (9 if mono else 17))


def first_mpeg_frame(tag: bytes) -> int:
    """Find where the sound of an MP3 file begins, behind its tag, by its first ten bytes."""
    if tag[:3] != b"ID3" or len(tag) < 10:
        return 0
    return 10 + sum((tag[6 + place] & 0x7F) << (21 - 7 * place) for place in range(4))


def _mp3(file: BinaryIO, size: int) -> Facts:
    """Count the frames of an MP3 file that doesn't say how many they are."""
    file.seek(0)
    start = first_mpeg_frame(file.read(10))
    file.seek(start)
    data = file.read(4096)
    first = mpeg_frame(data)
    if first is None:
        return Facts()
    info = data[4 + first.side_bytes :]
    if info[:4] in (b"Xing", b"Info"):
        flags = int.from_bytes(info[4:8])
        lame = 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
        return Facts(delayed=not any(info[lame + 21 : lame + 24]))
    if data[36:40] == b"VBRI":
        return Facts(delayed=True)
    file.seek(start)
    whole = file.read(size - start)
    rates = [whole[at + 2] >> 4 for at, _ in mpeg_frames(whole)]
    if len({*rates}) < 2:
        return Facts(delayed=True)
    detail = f"it has a variable bit rate and doesn't state its length: all {len(rates)} frames are read"
    # a decoder that meets the tag behind the info frame doesn't believe the frame
    return Facts(Repair(_info_frame(data[:4], first, len(rates)), (), detail, skipped=start), delayed=True)


def mpeg_frames(data: bytes | mmap, at: int = 0) -> Iterator[tuple[int, _Frame]]:
    """Follow the frames of MPEG audio from a place on: the place of each, and the frame."""
    while frame := mpeg_frame(data[at : at + 4]):
        yield at, frame
        at += frame.size


def _info_frame(header: bytes, first: _Frame, count: int) -> bytes:
    """Make the frame that states how many frames follow, as an encoder would have put it in front."""
    for index in range(1, 15):
        likely = bytes([header[0], header[1] | 1, index << 4 | header[2] & 0x0C, header[3]])
        frame = mpeg_frame(likely)
        if frame and frame.size >= 4 + first.side_bytes + 16:
            body = likely + bytes(first.side_bytes) + b"Xing" + struct.pack(">II", 1, count)
            return body.ljust(frame.size, b"\0")
    raise AssertionError("the highest bit rate holds an info frame")
