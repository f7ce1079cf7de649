"""Reads one log file of any of the six formats, by docs/formats.md alone. The standard library only.

`read(format, path)` gives what a reader finds in the file, in the order of its bytes:

- `Record`: a valid record, or one record of a valid batch;
- `Damage`: bytes that hold no valid record, though a valid record follows them;
- `Tail`: bytes behind the last valid record.

Nobody may change this file to agree with the Swift code: it follows the page. Where the page leaves a choice, the page
has to be mended.
"""

import os
import re
import struct
import zlib
from dataclasses import dataclass

MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Record:
    byte: int
    length: int
    offset: int
    key: bytes | None
    value: bytes
    checksum: int
    batch: int | None = None


@dataclass(frozen=True)
class Damage:
    start: int
    end: int


@dataclass(frozen=True)
class Tail:
    start: int


def mix(z):
    z &= MASK
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def _table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x9A6C9329AC4BC9B5 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = _table()


def crc64(data):
    crc = MASK
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ MASK


assert crc64(b"123456789") == 0xAE8B14860A799888


def u16(data, at):
    return int.from_bytes(data[at : at + 2], "little")


def u32(data, at):
    return int.from_bytes(data[at : at + 4], "little")


def u64(data, at):
    return int.from_bytes(data[at : at + 8], "little")


def i32(data, at):
    return int.from_bytes(data[at : at + 4], "little", signed=True)


def i64(data, at):
    return int.from_bytes(data[at : at + 8], "little", signed=True)


def messages(data, count):
    """`key length i32 (-1: no key) | value length u32 | key | value`: as many as are counted and fit."""
    at = 0
    for _ in range(count):
        if len(data) - at < 8:
            return
        key_length, value_length = i32(data, at), u32(data, at + 4)
        if key_length < -1:
            return
        start = at + 8 + max(key_length, 0)
        if start + value_length > len(data):
            return
        key = data[at + 8 : start] if key_length >= 0 else None
        yield at, start + value_length - at, key, data[start : start + value_length]
        at = start + value_length


# Segments of Tornlog


def salt_of(data, base, epoch, topic, partition):
    """The salt of the first valid copy of the head, or None."""
    for at in (0, 2048):
        copy = data[at : at + 512]
        if len(copy) < 512 or copy[:8] != b"TORNLOG1" or u32(copy, 8) != zlib.crc32(copy[12:]) or u32(copy, 12) != 1:
            continue
        name = copy[58 : 58 + u16(copy, 56)]
        if u16(copy, 56) > 249 or i32(copy, 52) < 0:
            continue
        if (i64(copy, 16), u64(copy, 24), name, i32(copy, 52)) == (base, epoch, topic.encode(), partition):
            return u64(copy, 32)
    return None


def batch_length(data, at, salt):
    """The length of the valid batch at a place, or None."""
    if data[at : at + 4] != b"TLB1" or at + 64 > len(data):
        return None
    length = u32(data, at + 8)
    if length % 8 or not 64 <= length <= 16 << 20 or at + length > len(data):
        return None
    if data[at + 12] != 1 or u32(data, at + 28) * 8 != at or u32(data, at + 24) < 1:
        return None
    if not 0 <= i64(data, at + 16) <= 1 << 62 or u64(data, at + 32) > (1 << 63) - 1:
        return None
    seed = mix(salt + at) & 0xFFFFFFFF
    return length if zlib.crc32(data[at + 8 : at + length], seed) == u32(data, at + 4) else None


def read_segment(data, salt):
    at = 4096
    while at < len(data):
        length = batch_length(data, at, salt)
        if length is None:
            at += 8
            continue
        base = i64(data, at + 16)
        for place, (byte, size, key, value) in enumerate(messages(data[at + 64 : at + length], u32(data, at + 24))):
            yield Record(at + 64 + byte, size, base + place, key, value, u32(data, at + 4), at)
        at += length


# Logs of records. Each format says how long a record claims to be, whether its inner lengths agree, and its checksum.


class Streamhouse:
    head = b""
    length_is_confirmed = True
    numbered = False

    def claims(self, data, at):
        size = u32(data, at)
        return size + 4 if at + 4 <= len(data) and 20 <= size <= (16 << 20) - 4 else None

    def agrees(self, r):
        key = u32(r, 16)
        return 24 + key <= len(r) and u32(r, 20 + key) == len(r) - 24 - key

    def checksums(self, r):
        return u32(r, 4), zlib.crc32(r[8:])

    def records(self, r, at, due):
        key = u32(r, 16)
        yield Record(at, len(r), due, r[20 : 20 + key] if key else None, r[24 + key :], u32(r, 4))


class Airunner:
    head = b"ARWAL001" + struct.pack("<II", 1, 0)
    length_is_confirmed = False
    numbered = True

    def claims(self, data, at):
        length = u32(data, at)
        return length if at + 4 <= len(data) and 32 <= length <= 10 << 20 else None

    def agrees(self, r):
        return r[12] in (1, 2, 3) and r[13:16] == b"\0\0\0"

    def checksums(self, r):
        return u64(r, len(r) - 8), crc64(r[4:-8])

    def records(self, r, at, due):
        yield Record(at, len(r), i64(r, 4) - 1, None, r[24:-8], u64(r, len(r) - 8))


class ChronikV1:
    head = b""
    length_is_confirmed = True
    numbered = True

    def claims(self, data, at):
        if at + 8 > len(data) or u16(data, at) != 0xCA7E or data[at + 2] != 1:
            return None
        return u32(data, at + 4) if 40 <= u32(data, at + 4) <= 16 << 20 else None

    def agrees(self, r):
        end = len(r)
        key = i32(r, 28)
        at = 32 + max(key, 0)
        if key < -1 or at + 4 > end:
            return False
        value = i32(r, at)
        at += 4 + value
        if value < 0 or at + 4 > end:
            return False
        headers = i32(r, at)
        at += 4
        if headers < 0:
            return False
        for _ in range(headers):
            if at + 2 > end:
                return False
            at += 2 + u16(r, at)
            if at + 4 > end:
                return False
            at += 4 + u32(r, at)
        return at == end

    def checksums(self, r):
        return u32(r, 24), zlib.crc32(r[28:], zlib.crc32(r[:24]))

    def records(self, r, at, due):
        key = i32(r, 28)
        start = 36 + max(key, 0)
        value = r[start : start + i32(r, start - 4)]
        yield Record(at, len(r), i64(r, 8), r[32 : 32 + key] if key >= 0 else None, value, u32(r, 24))


class Chronik:
    head = b""
    length_is_confirmed = True
    numbered = True

    def claims(self, data, at):
        if at + 8 > len(data) or u16(data, at) != 0xCA7E or data[at + 2] != 2:
            return None
        return u32(data, at + 4) + 12 if 30 <= u32(data, at + 4) <= (16 << 20) - 12 else None

    def agrees(self, r):
        topic = u16(r, 12)
        return 42 + topic <= len(r) and u32(r, 18 + topic) == len(r) - 42 - topic

    def checksums(self, r):
        return u32(r, 8), zlib.crc32(r[12:], zlib.crc32(r[:8]))

    def records(self, r, at, due):
        base, last, count = i64(r, len(r) - 20), i64(r, len(r) - 12), i32(r, len(r) - 4)
        if count < 1 or last != base + count - 1:
            return
        start = 22 + u16(r, 12)
        for place, (byte, size, key, value) in enumerate(messages(r[start:-20], count)):
            yield Record(at + start + byte, size, base + place, key, value, u32(r, 8), at)


class ReplayBuffer:
    head = b""
    length_is_confirmed = True
    numbered = True

    def claims(self, data, at):
        if at + 8 > len(data) or data[at : at + 4] != b"RPB1":
            return None
        return u32(data, at + 4) if 39 <= u32(data, at + 4) <= 16 << 20 else None

    def agrees(self, r):
        user = u16(r, 28)
        if u32(r, len(r) - 4) != len(r) or 39 + user > len(r):
            return False
        return 1 <= r[30 + user] <= 6 and u32(r, 31 + user) == len(r) - 39 - user

    def checksums(self, r):
        return u32(r, 16), zlib.crc32(r[20:], zlib.crc32(r[4:16]))

    def records(self, r, at, due):
        user = u16(r, 28)
        yield Record(at, len(r), u64(r, 8), r[30 : 30 + user], r[35 + user : -4], u32(r, 16))


FORMATS = {
    "streamhouse": Streamhouse(),
    "airunner": Airunner(),
    "chronik-v1": ChronikV1(),
    "chronik": Chronik(),
    "replay-buffer": ReplayBuffer(),
}


class RecordLog:
    def __init__(self, form, data):
        self.form, self.data = form, data

    def valid(self, at):
        """The length of the valid record at a place, or None."""
        length = self.form.claims(self.data, at)
        if length is None or at + length > len(self.data):
            return None
        record = self.data[at : at + length]
        stored, computed = self.form.checksums(record)
        return length if self.form.agrees(record) and stored == computed else None

    def behind(self, at):
        """Where the damage that begins at a place ends: "Reading on after damage". None: no valid record follows."""
        length = self.form.claims(self.data, at)
        end = at + length if length else None
        explained = self.explained(at)
        if explained is not None:
            return explained
        if end is not None and self.form.length_is_confirmed and self.checksum_alone(at) and self.leads_on(end, at):
            return end
        if end is not None and end < len(self.data) and self.valid(end):
            if self.form.length_is_confirmed and self.form.agrees(self.data[at:end]):
                return end
            return next((first for first in range(at + 1, end) if self.leads(first, end)), end)
        return next((first for first in range(at + 1, len(self.data)) if self.valid(first)), None)

    def explained(self, at):
        """`tornlog wal` alone: where the record ends that exactly one flipped bit has damaged.

        It matters where records carry no offsets, and each damaged one counts."""
        if self.form.numbered:
            return None
        length = self.form.claims(self.data, at) or 4
        ends = set()
        count = 0
        for bit in range(8 * min(length, len(self.data) - at)):
            changed = bytearray(self.data[at : at + max(length, 1 << 16)])
            changed[bit // 8] ^= 1 << bit % 8
            size = RecordLog(self.form, bytes(changed)).valid(0)
            if size:
                count += 1
                ends.add(at + size)
        return ends.pop() if count == 1 else None

    def checksum_alone(self, at):
        """The length of the record at a place of which at most the checksum is wrong, or None."""
        length = self.form.claims(self.data, at)
        if length is None or at + length > len(self.data):
            return None
        return length if self.form.agrees(self.data[at : at + length]) else None

    def leads_on(self, at, start):
        """`tornlog wal` alone: lengths of such records lead to a valid one or to the end, within 1 MiB."""
        while at < len(self.data) and not self.valid(at):
            length = self.checksum_alone(at)
            if length is None or at - start > 1 << 20:
                return False
            at += length
        return True

    def leads(self, at, end):
        while at < end:
            length = self.valid(at)
            if not length:
                return False
            at += length
        return at == end

    def read(self):
        at, due = 0, 0
        if self.form.head:
            at = len(self.form.head)
            if self.data[:at] != self.form.head:
                yield Damage(0, at)
        while at < len(self.data):
            length = self.valid(at)
            if length:
                found = list(self.form.records(self.data[at : at + length], at, due))
                yield from found
                due += len(found)
                at += length
                continue
            following = self.behind(at)
            if following is None:
                # Zeros behind the last record are space that was filled ahead.
                if any(self.data[at:]):
                    yield Tail(at)
                return
            yield Damage(at, following)
            due += 1
            at = following


def read(form, path, topic=None, partition=None):
    """What a reader finds in a file; None where no copy of a segment's head is valid."""
    with open(path, "rb") as file:
        data = file.read()
    if form != "tornlog":
        return list(RecordLog(FORMATS[form], data).read())
    base, epoch = re.fullmatch(r"(\d{20})-(\d{10,})\.log", os.path.basename(path)).groups()
    salt = salt_of(data, int(base), int(epoch), topic, partition)
    return None if salt is None else list(read_segment(data, salt))
