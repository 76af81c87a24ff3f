"""CoreML models of any size, written byte by byte: matrices of 1024 x 1024 in a
program's package (float16) and in the layers of a network (float32)."""

import json
import struct

SIDE = 1024


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """A number, or a text, message or bytes, as protobuf writes it."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def model(version, kind, content):
    feature = field(1, "x") + field(3, field(5, field(1, varint(SIDE))))
    return (field(1, version) + field(2, field(1, feature)) + field(kind, content))


def tensor_type(element, shape):
    sizes = b"".join(field(3, field(1, field(1, size))) for size in shape)
    return field(1, field(1, element) + field(2, len(shape)) + sizes)


def constant(name, offset):
    text = field(2, tensor_type(2, [])) + field(3, field(1, field(4, field(1, name))))
    kind = tensor_type(10, [SIDE, SIDE])
    blob = field(1, "@model_path/weights/weight.bin") + field(2, offset)
    value = field(2, kind) + field(5, blob)
    return (field(1, "const") + field(3, field(1, name) + field(2, kind))
            + field(5, field(1, "name") + field(2, text))
            + field(5, field(1, "val") + field(2, value)))


def write_package(path, count):
    """Folders and files of a program with `count` matrices."""
    data = path / "Data" / "com.apple.CoreML"
    (data / "weights").mkdir(parents=True)
    size = 2 * SIDE * SIDE
    with open(data / "weights" / "weight.bin", "wb") as out:
        out.write(struct.pack("<II", count, 2) + bytes(56))
        for i in range(count):
            begin = 64 + i * (size + 64) + 64
            out.write(struct.pack("<IIQQ", 0xDEADBEEF, 1, size, begin) + bytes(40))
            out.write(b"\x00\x3c" * (SIDE * SIDE))
    block = b"".join(field(3, constant(f"layer_{i}_weight", 64 + i * (size + 64)))
                     for i in range(count))
    function = (field(2, "CoreML5")
                + field(3, field(1, "CoreML5") + field(2, block)))
    program = field(1, 1) + field(2, field(1, "main") + field(2, function))
    (data / "model.mlmodel").write_bytes(model(6, 502, program))
    (path / "Manifest.json").write_text(json.dumps({
        "fileFormatVersion": "1.0.0", "rootModelIdentifier": "A",
        "itemInfoEntries": {"A": {"path": "com.apple.CoreML/model.mlmodel"}}}))


def write_network(path, count):
    """One file with `count` inner products."""
    numbers = field(1, struct.pack("<f", 1) * (SIDE * SIDE))
    layers = b"".join(
        field(1, field(1, f"layer_{i}")
              + field(140, field(1, SIDE) + field(2, SIDE) + field(20, numbers)))
        for i in range(count))
    path.write_bytes(model(4, 500, layers))
