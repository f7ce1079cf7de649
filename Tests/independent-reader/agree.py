#!/usr/bin/env python3
"""Compares `tornlog wal dump --json FOLDER` with an independent reader of Tornlog's segments: `agree.py FOLDER LINES`.

The reader is Tests/FormatReader/reader.py, which was written from docs/formats.md alone. FOLDER has one segment in each of
its folders, of topic `orders`, partition 3. LINES is what the tool has printed. Prints what differs; exit code 1 where
anything does. The standard library only.
"""

import json
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "FormatReader"))
import reader  # noqa: E402


def records(data, batch):
    """docs/formats.md, "Batches": `key length i32 (-1: no key) | value length u32 | key | value`."""
    at = batch["at"] + 64
    for offset in range(batch["base"], batch["next"]):
        if at + 8 > batch["end"]:
            return
        key, value = struct.unpack_from("<iI", data, at)
        end = at + 8 + max(key, 0) + value
        if end > batch["end"]:
            return
        yield {"offset": offset, "byte": at, "length": end - at, "keySize": key if key >= 0 else None, "valueSize": value}
        at = end


def expected(folder, name):
    segment = reader.Segment(folder, name, "orders", 3)
    if not segment.head:
        return None
    found = []
    for batch in segment.batches():
        checksum = struct.unpack_from("<I", segment.data, batch["at"] + 4)[0]
        epoch, uptime = struct.unpack_from("<Qq", segment.data, batch["at"] + 32)
        for record in records(segment.data, batch):
            value = segment.data[record["byte"] + record["length"] - record["valueSize"] : record["byte"] + record["length"]]
            record.update(batch=batch["at"], stored="0x%08x" % checksum, epoch=epoch, uptime=uptime, value=value.hex())
            found.append(record)
    return found


def main(root, lines):
    printed = {}
    with open(lines, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if record["state"] == "valid":
                printed.setdefault(record["file"], []).append(record)
    differing = compared = 0
    for folder, _, names in sorted(os.walk(root)):
        for name in names:
            path = os.path.join(folder, name)
            mine = expected(folder, name)
            if mine is None:
                # No copy of the head is valid. The tool reads on where one flipped bit explains that.
                continue
            theirs = [
                {key: record.get(key) for key in ("offset", "byte", "length", "keySize", "valueSize", "batch", "stored", "epoch", "uptime", "value")}
                for record in printed.get(path, [])
            ]
            compared += len(mine)
            keys = ("offset", "byte", "length", "keySize", "valueSize", "batch", "stored", "epoch", "uptime", "value")
            if [tuple(record[key] for key in keys) for record in mine] != [tuple(record[key] for key in keys) for record in theirs]:
                differing += 1
                if differing <= 5:
                    print(f"{path}: {len(mine)} records read, {len(theirs)} printed")
    print(f"{compared} records compared, {differing} files differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
