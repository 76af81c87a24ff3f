"""GGUF files written byte by byte, for what the package refuses to write."""

import struct

U8, U16, U32, F32, BOOL, STRING, ARRAY, U64 = 0, 2, 4, 6, 7, 8, 9, 10
F32_TYPE, F16_TYPE, Q4_0_TYPE, Q8_0_TYPE = 0, 1, 2, 8


def u32(number):
    return struct.pack("<I", number)


def u64(number):
    return struct.pack("<Q", number)


def text(value, length=None):
    """A string, with a length that may lie."""
    value = value.encode()
    return u64(len(value) if length is None else length) + value


def key(name, kind, value):
    return text(name) + u32(kind) + value


def array(kind, count, items=b""):
    return u32(kind) + u64(count) + items


def tensor(name, dims, kind=F32_TYPE, offset=0):
    return (text(name) + u32(len(dims)) + b"".join(u64(dim) for dim in dims)
            + u32(kind) + u64(offset))


def raw_gguf(keys=(), tensors=(), data=b"", version=3, key_count=None,
             tensor_count=None, alignment=32):
    """A whole file; counts are those of the lists unless others are named."""
    head = (b"GGUF" + u32(version)
            + u64(len(tensors) if tensor_count is None else tensor_count)
            + u64(len(keys) if key_count is None else key_count)
            + b"".join(keys) + b"".join(tensors))
    return head + bytes(-len(head) % alignment) + data
