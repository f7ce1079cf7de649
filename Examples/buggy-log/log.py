"""A small write-ahead log, and five classic ways to get one wrong. (The sixth, bug 4, is in driver.py.)

    Log(folder)          opens the log in `folder`, and recovers it. Makes the folder where there is none.
    log.append("text")   adds a record and returns its position. The record is durable when this returns.
    log.read()           all records, in order.

The folder holds:

    manifest             the log's identity, and how many records each segment has; replaced by rename.
    000001.segment ...   records: checksum (4 bytes), length (4 bytes), value. The last segment is the tail.

Rules that keep it sound when the power goes at any instant:

 1. A record is written and synced before `append` returns.
 2. A new file is reachable only once its folder has been synced.
 3. A file is synced before a rename puts it in the place of another.
 4. A number of a segment is durable in the manifest before that segment is written. So no segment has two lives, and no
    record (identity, segment, index) is written with two contents. The checksum covers these three. Old bytes that
    come back in new space, of this log or another, never pass for a record.
 5. Recovery never appends to a segment that it found. It makes the tail durable, and the next record starts a new one.
 6. After a failed write or sync nobody knows what is on the disk. The log takes no more records until it is opened
    again.

`bug` breaks one rule. Look for `self.bug`.
"""

import json
import os
import struct
import zlib

RECORDS_IN_A_SEGMENT = 8
HEADER = struct.Struct("<II")  # checksum, length of the value


class Damaged(Exception):
    """What is on the disk is not what a crash can leave. Nothing is changed; a person must look."""


def sync_folder(path):
    """Makes the names in a folder durable: files created, renamed and removed."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_all(file, data):
    """Writes all of `data`. One `write` may write less than it is given."""
    while data:
        data = data[os.write(file, data):]


class Log:
    def __init__(self, folder, bug=0):
        self.folder = folder
        self.bug = bug
        self.tail = None      # descriptor of the segment that takes records; None until the first append
        self.tail_count = 0   # records in the tail
        self.broken = False   # rule 6
        if not os.path.isdir(folder):
            os.mkdir(folder)
        sync_folder(os.path.dirname(os.path.abspath(folder)))
        self._read_manifest()
        self._recover()

    def append(self, value):
        """Adds a record and returns its position, from 0."""
        self._refuse_if_broken()
        self.broken = True  # until all of this has succeeded (rule 6)
        if self.tail is None or self.tail_count == RECORDS_IN_A_SEGMENT:
            self._start_segment()
        write_all(self.tail, self._record(len(self.segments), self.tail_count, value.encode("ascii")))
        if self.bug != 1:  # Bug 1: no fsync. The record is in the page cache only.
            os.fsync(self.tail)
        self.tail_count += 1
        self.records.append(value)
        self.broken = False
        return len(self.records) - 1

    def read(self):
        """All records, in order."""
        self._refuse_if_broken()
        return list(self.records)

    def check(self):
        """Reads the disk again. Raises `Damaged` where it does not have what the log says it has."""
        self._refuse_if_broken()
        found = []
        for number, count in enumerate(self.segments, 1):
            values, _ = self._read_segment(number)
            found += values if count is None else values[:count]
        if found != self.records:
            raise Damaged(f"{len(self.records)} records in memory, {len(found)} on the disk, or not the same")

    def close(self):
        if self.tail is not None:
            os.close(self.tail)
            self.tail = None

    def _refuse_if_broken(self):
        if self.broken:
            raise OSError("an earlier write failed: open the log again")

    # Segments

    def _path(self, number):
        return os.path.join(self.folder, f"{number:06}.segment")

    def _checksum(self, number, index, value):
        """Of a record and of its place in the log (rule 4)."""
        place = f"{self.identity} {number} {index} {len(value)} "
        return zlib.crc32(place.encode() + value)

    def _record(self, number, index, value):
        return HEADER.pack(self._checksum(number, index, value), len(value)) + value

    def _start_segment(self):
        """Seals the tail, names the next segment in the manifest, and creates it, in this order (rules 2 and 4)."""
        self.close()
        if self.segments:
            self.segments[-1] = self.tail_count
        self.segments.append(None)  # the tail: nobody knows yet how many records it will have
        self._write_manifest()
        self.tail = os.open(self._path(len(self.segments)), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        self.tail_count = 0
        if self.bug != 2:  # Bug 2: the file will be synced, its name in the folder never is.
            sync_folder(self.folder)

    def _read_segment(self, number):
        """The values of the whole records from the start of a segment, and the offsets at which they end."""
        try:
            with open(self._path(number), "rb") as file:
                data = file.read()
        except FileNotFoundError:  # The power went after the manifest named it and before it was created.
            data = b""
        values, ends = [], [0]
        while True:
            start = ends[-1] + HEADER.size
            if start > len(data):
                break
            checksum, length = HEADER.unpack(data[ends[-1]:start])
            value = data[start:start + length]
            if len(value) < length:
                break
            # Bug 5: nobody checks the records of the tail. Zeros are then empty records.
            trusted = self.bug == 5 and number == len(self.segments)
            if checksum != self._checksum(number, len(values), value) and not trusted:
                break
            values.append(value.decode("ascii"))
            ends.append(start + length)
        return values, ends

    # Recovery

    def _recover(self):
        """Reads all segments. Only the tail may end in the middle of a record: that one was never acknowledged."""
        sync_folder(self.folder)  # A process that was killed may have left names that are not durable yet.
        self.records = []
        for number, count in enumerate(self.segments, 1):
            values, ends = self._read_segment(number)
            if count is None:
                values = self._repair_tail(number, values, ends)
                self.tail_count = len(values)
            elif len(values) < count:
                raise Damaged(f"segment {number} has {len(values)} whole records, the manifest says {count}")
            self.records += values[:count]

    def _repair_tail(self, number, values, ends):
        """Makes durable what is served from now on, and cuts what is behind the last whole record."""
        try:
            tail = os.open(self._path(number), os.O_WRONLY)
        except FileNotFoundError:
            return []
        end = ends[-1]
        try:
            # The last record may be in the page cache alone: its writer was killed before the fsync, or the fsync
            # failed, and after that the kernel takes the pages for clean. The same bytes are written again.
            if values:
                os.lseek(tail, ends[-2], os.SEEK_SET)
                write_all(tail, self._record(number, len(values) - 1, values[-1].encode("ascii")))
            os.fsync(tail)
            if os.fstat(tail).st_size > end:
                if self.bug == 6 and values:  # Bug 6: the cut is at the start of the last whole record.
                    values, end = values[:-1], ends[-2]
                os.ftruncate(tail, end)
                os.fsync(tail)
        finally:
            os.close(tail)
        return values

    # Manifest

    def _read_manifest(self):
        try:
            with open(os.path.join(self.folder, "manifest"), "rb") as file:
                checksum, _, body = file.read().partition(b" ")
        except FileNotFoundError:
            # The first manifest never became durable. So no record was ever acknowledged: this log is new.
            self.identity, self.segments = os.urandom(8).hex(), []
            self._write_manifest()
            return
        if checksum != b"%08x" % zlib.crc32(body):
            raise Damaged("the manifest is damaged")
        self.identity, self.segments = json.loads(body)

    def _write_manifest(self):
        """Replaces the manifest: after a crash there is the old one or the new one (rule 3)."""
        body = json.dumps([self.identity, self.segments]).encode()
        path = os.path.join(self.folder, "manifest")
        file = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            write_all(file, b"%08x " % zlib.crc32(body) + body)
            if self.bug != 3:  # Bug 3: the name may reach the disk before the bytes.
                os.fsync(file)
        finally:
            os.close(file)
        os.rename(path + ".new", path)
        sync_folder(self.folder)
