#!/usr/bin/env python3
"""The plainest template, for people who own a log. Driver protocol, version 1 (docs/driver-protocol.md). Model: log.

It has a log of its own, one file of lines: CHECKSUM POSITION NAME VALUE. Replace the class `Log` by a call of yours.
The same log in other languages stands beside this file; each reads what the others wrote.
"""

import json, os, sys, zlib


class Log:
    """Lines in one file. `records` has [position, name, value] of each."""

    def __init__(self, folder):
        self.file = os.open(os.path.join(folder, "log"), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        with open(self.file, "rb", closefd=False) as whole:
            data = whole.read()
        self.records, end = [], 0
        for line in data.split(b"\n")[:-1]:  # What stands behind the last newline is no whole line.
            checksum, _, text = line.partition(b" ")
            fields = text.decode("ascii", "replace").split(" ", 2)
            # The position is part of what is checked: an old line that comes back is no record.
            if checksum != b"%08x" % zlib.crc32(text) or fields[0] != str(len(self.records)):
                break
            self.records.append([int(fields[0]), *fields[1:]])
            end += len(line) + 1
        if end < len(data):
            os.ftruncate(self.file, end)  # A torn line was never acknowledged.
        os.fsync(self.file)  # What is read now must not be lost later, nor the cut come back.
        parent = os.open(folder, os.O_RDONLY)
        os.fsync(parent)  # The name of a new file is durable only when its folder is.
        os.close(parent)
        self.broken = False

    def append(self, name, value):
        if self.broken:
            raise OSError("an earlier write failed: open the log again")
        self.broken = True  # After a failed write or sync nobody knows what is on the disk.
        text = f"{len(self.records)} {name} {value}".encode()
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        if os.write(self.file, line) < len(line):
            raise OSError("a short write")
        os.fsync(self.file)
        self.records.append([len(self.records), name, value])
        self.broken = False
        return len(self.records) - 1


def reply(request, **members):
    print(json.dumps({"id": request["id"], **members}), flush=True)


log = None
for line in sys.stdin:
    request = json.loads(line)
    try:
        match request["op"]:
            case "hello":
                reply(request, ok=True, name="file-log", version="1", ops=["append", "scan"], reopens=True)
                continue
            case "open":
                log = Log(request["dir"])
            case "append":
                reply(request, ok=True, position=log.append(request["log"], request["value"]))
                continue
            case "scan":
                items = [[position, value] for position, name, value in log.records if name == request["log"]]
                reply(request, items=items)
            case "close":
                if log:
                    os.close(log.file)
                log = None
            case other:
                raise NotImplementedError(other)
        reply(request, ok=True)
    except Exception as error:
        # The program's own failure, in its words; or the driver's, which says nothing about the program.
        reply(request, ok=False, outcome="unknown" if isinstance(error, OSError) else "driver", error=str(error))
