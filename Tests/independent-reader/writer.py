"""Makes logs of the six formats by docs/formats.md alone, and damages them. The standard library only."""

import os
import struct
import zlib

from reader import crc64, mix

BLOCK = 512
TIME = 1769857215000


def text(random, most):
    return random.randbytes(random.randrange(most))


def message(random):
    key = None if random.random() < 0.3 else text(random, 12)
    return key, text(random, random.choice((8, 60, 300)))


def in_batch(key, value):
    return struct.pack("<iI", -1 if key is None else len(key), len(value)) + (key or b"") + value


def segment(random, base, epoch, topic, partition):
    salt = random.getrandbits(64)
    head = struct.pack("<IqQQqIiH", 1, base, epoch, salt, base, random.getrandbits(32), partition, len(topic))
    head += topic.encode().ljust(249, b"\0") + bytes([random.randrange(3)]) + struct.pack("<qq", -1, 0)
    head = head.ljust(500, b"\0")
    copy = b"TORNLOG1" + struct.pack("<I", zlib.crc32(head)) + head
    data = bytearray(copy.ljust(2048, b"\0") * 2)
    due, epoch_now = base, epoch
    for _ in range(random.randrange(1, 12)):
        first, at = due, len(data)
        for _ in range(random.randrange(1, 4)):
            messages = [message(random) for _ in range(random.randrange(1, 5))]
            body = b"".join(in_batch(*m) for m in messages)
            body += bytes(-len(body) % 8)
            at = len(data)
            delta = due - first
            rest = struct.pack("<IBBHqIIQqqII", 64 + len(body), 1, 0, delta >> 32, due, len(messages), at // 8,
                               epoch_now, random.getrandbits(40), first, 7, delta & 0xFFFFFFFF) + body
            data += b"TLB1" + struct.pack("<I", zlib.crc32(rest, mix(salt + at) & 0xFFFFFFFF)) + rest
            due += len(messages)
        data += bytes(-len(data) % BLOCK)
    if random.random() < 0.3:
        data += bytes(4096)
    return bytes(data)


def streamhouse(random, number):
    key, value = message(random)
    key = key or b""
    rest = struct.pack("<QI", TIME + number, len(key)) + key + struct.pack("<I", len(value)) + value
    return struct.pack("<II", 4 + len(rest), zlib.crc32(rest)) + rest


def airunner(random, number):
    payload = message(random)[1]
    body = struct.pack("<qB3xq", number + 1, random.choice((1, 1, 2, 3)), TIME + number) + payload
    return struct.pack("<I", 12 + len(body)) + body + struct.pack("<Q", crc64(body))


def chronik_v1(random, number):
    key, value = message(random)
    headers = [(text(random, 6), text(random, 9)) for _ in range(random.choice((0, 0, 2)))]
    rest = struct.pack("<i", -1 if key is None else len(key)) + (key or b"") + struct.pack("<i", len(value)) + value
    rest += struct.pack("<i", len(headers))
    for name, content in headers:
        rest += struct.pack("<H", len(name)) + name + struct.pack("<I", len(content)) + content
    head = struct.pack("<HBBIqq", 0xCA7E, 1, 0, 28 + len(rest), number, TIME + number)
    return head + struct.pack("<I", zlib.crc32(rest, zlib.crc32(head))) + rest


def chronik(random, number):
    messages = [message(random) for _ in range(3)]
    data = b"".join(in_batch(*m) for m in messages)
    topic = b"orders"
    rest = struct.pack("<H", len(topic)) + topic + struct.pack("<iI", 3, len(data)) + data
    rest += struct.pack("<qqi", 3 * number, 3 * number + 2, 3)
    head = struct.pack("<HBBI", 0xCA7E, 2, 0, len(rest))
    return head + struct.pack("<I", zlib.crc32(rest, zlib.crc32(head))) + rest


def replay_buffer(random, number):
    transaction, step = divmod(number, 3)
    operation = step + 1
    payload = struct.pack("<Q", 1) if operation == 3 else b"" if operation == 1 else message(random)[1]
    user = b"engine"
    length = 39 + len(user) + len(payload)
    rest = struct.pack("<qH", TIME + number, len(user)) + user + struct.pack("<BI", operation, len(payload)) + payload
    rest += struct.pack("<I", length)
    head = struct.pack("<IQ", length, transaction)
    return b"RPB1" + head + struct.pack("<I", zlib.crc32(rest, zlib.crc32(head))) + rest


WRITERS = {
    "streamhouse": (b"", streamhouse),
    "airunner": (b"ARWAL001" + struct.pack("<II", 1, 0), airunner),
    "chronik-v1": (b"", chronik_v1),
    "chronik": (b"", chronik),
    "replay-buffer": (b"", replay_buffer),
}


def records(random, form):
    head, record = WRITERS[form]
    return head + b"".join(record(random, number) for number in range(random.randrange(1, 40)))


def damage(random, data, first):
    """Damages a log in up to three places. `first`: the first byte that may be hit. Returns the log, and what was done."""
    data, done = bytearray(data), []
    for _ in range(random.randrange(1, 4)):
        if len(data) <= first:
            break
        at = random.randrange(first, len(data))
        length = min(random.choice((1, 4, 40, BLOCK, 3 * BLOCK)), len(data) - at)
        kind = random.choice(("bit", "bit", "zeros", "noise", "cut", "hole", "twice", "more", "elsewhere"))
        if kind == "bit":
            data[at] ^= 1 << random.randrange(8)
        elif kind == "zeros":
            data[at : at + length] = bytes(length)
        elif kind == "noise":
            data[at : at + length] = random.randbytes(length)
        elif kind == "cut":
            del data[at:]
        elif kind == "hole":
            del data[at : at + length]
        elif kind == "twice":
            data[at:at] = data[at : at + length]
        elif kind == "more":
            data += random.choice((bytes(length), random.randbytes(length)))
        else:
            source = random.randrange(first, len(data))
            piece = data[source : source + length]
            data[at : at + len(piece)] = piece
        done.append(kind)
    return bytes(data), done


def write(random, form, folder):
    """Writes one log, most of them damaged. Returns its path and what was done to it."""
    os.makedirs(folder, exist_ok=True)
    if form == "tornlog":
        base, epoch = random.randrange(1000), random.randrange(1, 9)
        path = os.path.join(folder, f"{base:020}-{epoch:010}.log")
        data, first = segment(random, base, epoch, "orders", 3), 4096
    else:
        path = os.path.join(folder, "orders-3.wal")
        data, first = records(random, form), 0
    done = []
    if random.random() < 0.85:
        data, done = damage(random, data, first)
    if form == "tornlog" and random.random() < 0.1:
        at = random.choice((0, 2048)) + random.randrange(512)
        data = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        done.append("one copy of the head")
    with open(path, "wb") as file:
        file.write(data)
    return path, done
