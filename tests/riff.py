"""Read soundfonts chunk by chunk, apart from the code that writes them."""

import struct


def chunks(data: bytes) -> dict[bytes, bytes]:
    """Read the chunks of RIFF by name; those of lists by their type."""
    found, at = {}, 0
    while at < len(data):
        name, size = struct.unpack("<4sI", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        assert len(body) == size
        found.update({body[:4]: body[4:]} if name == b"LIST" else {name: body})
        at += 8 + size + size % 2
    return found
