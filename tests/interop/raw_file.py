"""SafeTensors files written byte by byte, for what the package refuses to write."""

import json
import struct


def raw_file(header, data=b"", padding=True):
    """A file of a header (an object, or its text as str or bytes) and data."""
    if not isinstance(header, (str, bytes)):
        header = json.dumps(header, separators=(",", ":"))
    if isinstance(header, str):
        header = header.encode("utf-8", "surrogatepass")
    if padding:
        header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
