#!/usr/bin/env python3
"""Reads the files of an engine, from docs/formats.md alone: `reader.py ROOT SYSTEM`.

Prints JSON: for each partition of each topic the log start, the log end, the offsets that can be read as ranges, and a CRC-32
over (offset, value) of each message. The standard library only.
"""

import json
import os
import re
import struct
import sys
import zlib

M64 = (1 << 64) - 1


def mix(z):
    z &= M64
    z ^= z >> 30
    z = z * 0xBF58476D1CE4E5B9 & M64
    z ^= z >> 27
    z = z * 0x94D049BB133111EB & M64
    return z ^ z >> 31


def batch_checksum(data, at, length, salt):
    return zlib.crc32(data[at + 8 : at + length], mix(salt + at) & 0xFFFFFFFF)


def crc64_table():
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x9A6C9329AC4BC9B5 if crc & 1 else crc >> 1
        table.append(crc)
    return table


CRC64 = crc64_table()


def crc64(data):
    crc = M64
    for byte in data:
        crc = crc >> 8 ^ CRC64[(crc ^ byte) & 0xFF]
    return crc ^ M64


assert crc64(b"123456789") == 0xAE8B14860A799888


def read(path):
    with open(path, "rb") as file:
        return file.read()


def names(folder):
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


# Segments and batches


class Segment:
    def __init__(self, folder, name, topic, partition):
        base, epoch = re.fullmatch(r"(\d{20})-(\d{10,})\.log", name).groups()
        self.base, self.epoch = int(base), int(epoch)
        self.path = os.path.join(folder, name)
        self.data = read(self.path)
        self.head = self.valid_copy(0, topic, partition) or self.valid_copy(2048, topic, partition)

    def valid_copy(self, at, topic, partition):
        copy = self.data[at : at + 512]
        if len(copy) < 512 or copy[:8] != b"TORNLOG1":
            return None
        crc, version = struct.unpack_from("<II", copy, 8)
        base, epoch, salt = struct.unpack_from("<qQQ", copy, 16)
        number, length = struct.unpack_from("<iH", copy, 52)
        if zlib.crc32(copy[12:]) != crc or version != 1 or length > 249 or number < 0:
            return None
        name = copy[58 : 58 + length].decode("utf-8", "replace")
        if (base, epoch, name, number) != (self.base, self.epoch, topic, partition):
            return None
        previous, passed = struct.unpack_from("<qq", copy, 308)
        return {"salt": salt, "previous": previous, "passed": passed}

    def batch(self, at):
        """The batch at a position, if it is valid."""
        data = self.data
        if at % 8 or data[at : at + 4] != b"TLB1" or at + 64 > len(data):
            return None
        crc, length = struct.unpack_from("<II", data, at + 4)
        base, count, position, epoch, time = struct.unpack_from("<qIIQq", data, at + 16)
        if length % 8 or not 64 <= length <= 16 << 20 or at + length > len(data):
            return None
        if data[at + 12] != 1 or position * 8 != at or count < 1 or base < 0:
            return None
        if batch_checksum(data, at, length, self.head["salt"]) != crc:
            return None
        return {"base": base, "next": base + count, "count": count, "at": at, "end": at + length, "order": (epoch, time)}

    def batches(self):
        at = 4096
        while at + 64 <= len(self.data):
            batch = self.batch(at)
            if batch:
                yield batch
                at = batch["end"]
            else:
                # Nothing valid can begin before the next magic.
                at = self.data.find(b"TLB1", at + 1)
                while at >= 0 and at % 8:
                    at = self.data.find(b"TLB1", at + 1)
                if at < 0:
                    return


def records(data, count, first):
    """Key length, value length, key, value: as many as are counted and fit."""
    at = 0
    for offset in range(first, first + count):
        if at + 8 > len(data):
            return
        key, value = struct.unpack_from("<iI", data, at)
        start = at + 8 + max(key, 0)
        if start + value > len(data):
            return
        yield offset, data[start : start + value]
        at = start + value


def batch_log(folder, topic, partition, start, newest):
    """Messages as (offset, value, order of the batch), by the rules of "Which batches are the log"."""
    segments = [
        Segment(folder, name, topic, partition) for name in names(folder) if re.fullmatch(r"\d{20}-\d{10,}\.log", name)
    ]
    segments.sort(key=lambda segment: (segment.base, segment.epoch))
    claims = [(segment.epoch, segment.head["previous"]) for segment in segments if segment.head]
    if newest:
        claims.append((newest["epoch"], newest["previous"]))
    segments = [
        segment
        for segment in segments
        if segment.head and not any(epoch > segment.epoch and segment.base > previous for epoch, previous in claims)
    ]
    due = start
    seen = False
    for place, segment in enumerate(segments):
        limit = segments[place + 1].base if place + 1 < len(segments) else None
        due = max(due, segment.base)
        for batch in segment.batches():
            if limit is not None and batch["next"] > limit or batch["next"] <= due:
                continue
            if batch["base"] < due and (due != start or seen):
                continue
            for offset, value in records(segment.data[batch["at"] + 64 : batch["end"]], batch["count"], batch["base"]):
                if offset >= due:
                    yield offset, value, batch["order"]
            due = batch["next"]
            seen = True


# Metadata


def metadata(root):
    copies = []
    for folder in ("metadata", "metadata-mirror"):
        found = {}
        for offset, value, order in batch_log(os.path.join(root, folder), "__metadata", 0, 0, None):
            found[offset] = (order, value.decode())
        copies.append(found)
    both = {}
    for copy in copies:
        for offset, (order, text) in copy.items():
            if offset not in both or order > both[offset][0]:
                both[offset] = (order, text)
    state, partial, left = new_state(), None, 0
    for offset in sorted(both):
        fields = both[offset][1].split("\t")
        if fields[0] == "snapshot":
            partial, left = new_state(), int(fields[1])
        elif partial is not None:
            apply(partial, fields)
            left -= 1
        else:
            apply(state, fields)
        if partial is not None and left == 0:
            state, partial = partial, None
    return state


def new_state():
    return {"topics": {}, "offsets": {}, "start": {}, "end": {}, "archive": {}, "segment": {}}


def apply(state, fields):
    kind = fields[0]
    if kind == "topic":
        state["topics"].setdefault(fields[1], int(fields[2]))
    elif kind in ("offset", "lower"):
        state["offsets"][(fields[1], fields[2], int(fields[3]))] = int(fields[4])
    else:
        log = (fields[1], int(fields[2]))
        if kind in ("start", "archive"):
            state[kind][log] = max(state[kind].get(log, 0), int(fields[3]))
        elif kind == "end":
            state["end"][log] = int(fields[3])
        elif kind == "cut":
            state["end"][log] = int(fields[3])
            newest = state["segment"].get(log)
            if newest:
                newest["end"] = min(newest["end"], int(fields[3]))
                if newest["base"] >= int(fields[3]):
                    del state["segment"][log]
        elif kind == "segment":
            base, epoch, previous, end = map(int, fields[3:7])
            state["segment"][log] = {"base": base, "epoch": epoch, "previous": previous, "end": end}


# Logs of records: length, validity, and the messages of a record


class Streamhouse:
    head = b""
    numbered = False
    confirms_length = True

    def length(self, data, at):
        if at + 4 > len(data):
            return None
        size = struct.unpack_from("<I", data, at)[0]
        return size + 4 if 20 <= size <= (16 << 20) - 4 else None

    def lengths_agree(self, record):
        key = struct.unpack_from("<I", record, 16)[0]
        return key <= len(record) - 24 and struct.unpack_from("<I", record, 20 + key)[0] == len(record) - 24 - key

    def checksum_is_right(self, record):
        return zlib.crc32(record[8:]) == struct.unpack_from("<I", record, 4)[0]

    def messages(self, record):
        key = struct.unpack_from("<I", record, 16)[0]
        return [(None, record[24 + key :])]


class Airunner:
    head = b"ARWAL001" + struct.pack("<II", 1, 0)
    numbered = True
    confirms_length = False

    def length(self, data, at):
        if at + 4 > len(data):
            return None
        length = struct.unpack_from("<I", data, at)[0]
        return length if 32 <= length <= 10 << 20 else None

    def lengths_agree(self, record):
        return record[12] in (1, 2, 3) and record[13:16] == b"\0\0\0"

    def checksum_is_right(self, record):
        return crc64(record[4:-8]) == struct.unpack_from("<Q", record, len(record) - 8)[0]

    def messages(self, record):
        sequence = struct.unpack_from("<q", record, 4)[0]
        return [(sequence - 1, record[24:-8])] if record[12] == 1 and sequence >= 1 else []


class ChronikV1:
    head = b""
    numbered = True
    confirms_length = True

    def length(self, data, at):
        if at + 8 > len(data) or data[at : at + 3] != b"\x7e\xca\x01":
            return None
        length = struct.unpack_from("<I", data, at + 4)[0]
        return length if 40 <= length <= 16 << 20 else None

    def lengths_agree(self, record):
        try:
            key = struct.unpack_from("<i", record, 28)[0]
            at = 32 + max(key, 0)
            value = struct.unpack_from("<i", record, at)[0]
            count = struct.unpack_from("<i", record, at + 4 + value)[0]
            if key < -1 or value < 0 or count < 0:
                return False
            at += 8 + value
            for _ in range(count):
                at += 2 + struct.unpack_from("<H", record, at)[0]
                at += 4 + struct.unpack_from("<I", record, at)[0]
            return at == len(record)
        except struct.error:
            return False

    def checksum_is_right(self, record):
        return zlib.crc32(record[28:], zlib.crc32(record[:24])) == struct.unpack_from("<I", record, 24)[0]

    def messages(self, record):
        offset = struct.unpack_from("<q", record, 8)[0]
        at = 32 + max(struct.unpack_from("<i", record, 28)[0], 0)
        value = struct.unpack_from("<i", record, at)[0]
        return [(offset, record[at + 4 : at + 4 + value])] if offset >= 0 else []


class ChronikV2:
    head = b""
    numbered = True
    confirms_length = True

    def length(self, data, at):
        if at + 8 > len(data) or data[at : at + 3] != b"\x7e\xca\x02":
            return None
        body = struct.unpack_from("<I", data, at + 4)[0]
        return body + 12 if 30 <= body <= (16 << 20) - 12 else None

    def lengths_agree(self, record):
        topic = struct.unpack_from("<H", record, 12)[0]
        return topic <= len(record) - 42 and struct.unpack_from("<I", record, 18 + topic)[0] == len(record) - 42 - topic

    def checksum_is_right(self, record):
        return zlib.crc32(record[12:], zlib.crc32(record[:8])) == struct.unpack_from("<I", record, 8)[0]

    def messages(self, record):
        topic = struct.unpack_from("<H", record, 12)[0]
        base, last, count = struct.unpack_from("<qqi", record, len(record) - 20)
        if base < 0 or count < 1 or last != base + count - 1:
            return []
        return list(records(record[22 + topic : -20], count, base))


class Replay:
    head = b""
    numbered = True
    confirms_length = True

    def length(self, data, at):
        if at + 8 > len(data) or data[at : at + 4] != b"RPB1":
            return None
        length = struct.unpack_from("<I", data, at + 4)[0]
        return length if 39 <= length <= 16 << 20 else None

    def lengths_agree(self, record):
        if struct.unpack_from("<I", record, len(record) - 4)[0] != len(record):
            return False
        user = struct.unpack_from("<H", record, 28)[0]
        if user > len(record) - 39 or struct.unpack_from("<I", record, 31 + user)[0] != len(record) - 39 - user:
            return False
        return 1 <= record[30 + user] <= 6

    def checksum_is_right(self, record):
        return zlib.crc32(record[20:], zlib.crc32(record[4:16])) == struct.unpack_from("<I", record, 16)[0]

    def messages(self, record):
        user = struct.unpack_from("<H", record, 28)[0]
        number = struct.unpack_from("<Q", record, 8)[0]
        return [(number, record[35 + user : -4])] if record[30 + user] == 2 else []


FORMATS = {
    "streamhouse": Streamhouse(),
    "airunner": Airunner(),
    "chronik-v1": ChronikV1(),
    "chronik": ChronikV2(),
    "replay-buffer": Replay(),
}


class RecordFile:
    """Steps through one file: ("record", bytes), ("damage", range)."""

    def __init__(self, form, data):
        self.form, self.data = form, data

    def whole(self, at):
        """The length of the valid record at a position, or None."""
        length = self.form.length(self.data, at)
        if length is None or at + length > len(self.data):
            return None
        record = self.data[at : at + length]
        return length if self.form.lengths_agree(record) and self.form.checksum_is_right(record) else None

    def after_damage(self, at):
        """Where the next record begins; None where none does."""
        length = self.form.length(self.data, at)
        if length is not None and at + length < len(self.data) and self.whole(at + length):
            record = self.data[at : at + length]
            if self.form.lengths_agree(record) and self.form.confirms_length:
                return at + length
            for first in range(at + 1, at + length):
                place = first
                while place < at + length and (step := self.whole(place)):
                    place += step
                if place == at + length and place > first:
                    return first
            return at + length
        for place in range(at + 1, len(self.data)):
            if self.whole(place):
                return place
        return None

    def steps(self):
        at = len(self.form.head)
        while at < len(self.data):
            length = self.whole(at)
            if length:
                yield "record", self.data[at : at + length]
                at += length
                continue
            following = self.after_damage(at)
            if following is None:
                yield "tail", None
                return
            yield "damage", None
            at = following


def record_log(form, folder, topic, partition, start, newest):
    name = f"{topic}-{partition}.wal"
    files = {}
    for file in names(folder):
        if file == name:
            files[0] = file
        elif re.fullmatch(re.escape(name) + r"\.[1-9]\d*", file):
            files[int(file.rsplit(".", 1)[1])] = file
    due = start if form.numbered else 0
    last = max(files, default=0)
    for number in sorted(files):
        anchored = form.numbered or number != last or not newest
        for step, record in RecordFile(form, read(os.path.join(folder, files[number]))).steps():
            if step == "record":
                if not anchored:
                    due, anchored = max(due, newest["base"]), True
                for offset, value in form.messages(record):
                    if offset is None:
                        offset = due
                    if offset >= due:
                        yield offset, value
                        due = offset + 1
            elif not form.numbered and (step == "damage" or number != last):
                due += 1


# Objects


def objects(root, topic, partition, start, end):
    folder = os.path.join(root, "store", topic, str(partition))
    found = []
    for name in names(folder):
        match = re.fullmatch(r"(\d{20})-(\d{20})-(\d{10,})\.tlo", name)
        if match:
            found.append((int(match[1]), -int(match[3]), int(match[2]), name))
    due = start
    for base, _, after, name in sorted(found):
        if base < due or base >= end:
            continue
        batches = object_batches(read(os.path.join(folder, name)), topic)
        at = 0
        while batches is not None and at < len(batches):
            length = struct.unpack_from("<I", batches, at + 8)[0]
            first, count = struct.unpack_from("<qI", batches, at + 16)
            for offset, value in records(batches[at + 64 : at + length], count, first):
                if due <= offset < end:
                    yield offset, value
            at += length
        due = after


def object_batches(data, topic):
    if len(data) <= 80 or data[:8] != b"TLOBJ001" or zlib.crc32(data[12:]) != struct.unpack_from("<I", data, 8)[0]:
        return None
    size, compressed, crc = struct.unpack_from("<QQI", data, 48)
    length = struct.unpack_from("<H", data, 72)[0]
    if data[80 : 80 + length].decode() != topic or len(data) != 80 + length + compressed:
        return None
    batches = zlib.decompress(data[80 + length :])
    return batches if len(batches) == size and zlib.crc32(batches) == crc else None


# The whole


def ranges(offsets):
    found = []
    for offset in offsets:
        if found and found[-1][1] == offset:
            found[-1][1] = offset + 1
        else:
            found.append([offset, offset + 1])
    return found


def main(root, system):
    state = metadata(root)
    logs = []
    for topic, partitions in state["topics"].items():
        for partition in range(partitions):
            log = (topic, partition)
            folder = os.path.join(root, "topics", topic, str(partition))
            start, archived = state["start"].get(log, 0), state["archive"].get(log, 0)
            newest = state["segment"].get(log)
            from_log = max(start, archived)
            messages = list(objects(root, topic, partition, start, archived))
            if system == "tornlog":
                messages += [(o, v) for o, v, _ in batch_log(folder, topic, partition, from_log, newest)]
            else:
                messages += record_log(FORMATS[system], folder, topic, partition, from_log, newest)
            crc = 0
            for offset, value in messages:
                crc = zlib.crc32(struct.pack("<q", offset) + value, crc)
            last = messages[-1][0] + 1 if messages else from_log
            logs.append(
                {
                    "topic": topic,
                    "partition": partition,
                    "start": start,
                    "end": max(last, state["end"].get(log, 0)),
                    "ranges": ranges([offset for offset, _ in messages]),
                    "crc": crc,
                    "offsets": {g: o for (g, t, p), o in state["offsets"].items() if (t, p) == log},
                }
            )
    json.dump({"partitions": logs}, sys.stdout)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[2] in ["tornlog", *FORMATS]:
        main(sys.argv[1], sys.argv[2])
    elif sys.argv[1:] == ["--vectors"]:
        salt = 0xA52EA94C29DB4E22
        print(json.dumps([mix(salt + at) & 0xFFFFFFFF for at in (4096, 14240)]))
    else:
        sys.exit("usage: reader.py ROOT tornlog|" + "|".join(FORMATS))
