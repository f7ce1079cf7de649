#!/usr/bin/env python3
"""Compares `tornlog wal dump --json` with the reader beside this file: `agree.py TORNLOG [--logs 1000] [--seed 1]`.

Makes logs of the six formats (half of them of Tornlog's own), damages most of them, and compares valid records and the
bytes that are called damaged, one by one. Exit code 1 where anything differs.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

from reader import FORMATS, Damage, Record, Tail, read
from writer import write

COMPARED = ("byte", "length", "offset", "keyHex", "value", "stored", "batch")


def mine(form, path):
    """(records, bytes that are damaged, first byte of the tail); None where the page says that nothing can be read."""
    found = read(form, path, "orders", 3)
    if found is None:
        return None
    records, damaged, tail = [], [], None
    for step in found:
        if isinstance(step, Record):
            digits = 16 if form == "airunner" else 8
            key = step.key.hex() if step.key is not None else None
            stored = f"0x{step.checksum:0{digits}x}"
            records.append((step.byte, step.length, step.offset, key, step.value.hex(), stored, step.batch))
        elif isinstance(step, Damage):
            damaged.append((step.start, step.end))
        elif isinstance(step, Tail):
            tail = step.start
    damaged = joined(damaged if tail is None else [*damaged, (tail, os.path.getsize(path))])
    return records, *tail_of(damaged, used(path))


def used(path):
    """Bytes of a file, without the zeros at its end: those carry nothing."""
    with open(path, "rb") as file:
        return len(file.read().rstrip(b"\0"))


def tail_of(damaged, size):
    """Damage that reaches to the end of the file is its tail: (the other damage, first byte of the tail)."""
    if damaged and damaged[-1][1] >= size:
        return damaged[:-1], damaged[-1][0]
    return damaged, None


def joined(ranges):
    """Damaged records beside each other are one range: the page leaves how they are told apart to the tool."""
    found = []
    for start, end in ranges:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def theirs(form, lines, size):
    """The same of what the tool has printed."""
    records, others = [], []
    for line in lines:
        if line["state"] == "valid":
            if "key" in line:
                # A key that is plain text is printed as text, any other one in hexadecimal.
                line["keyHex"] = line["key"].encode().hex()
            records.append(tuple(line.get(key) for key in COMPARED))
        else:
            others.append((line["byte"], line["byte"] + line["length"]))
    if form == "tornlog":
        return records, [], None
    return records, *tail_of(joined(others), size)


def lines_of(tornlog, form, paths):
    command = [tornlog, "wal", "dump", "--json", "--hex", "--format", form, *paths]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    found = {path: [] for path in paths}
    for line in run.stdout.decode().splitlines():
        entry = json.loads(line)
        found[entry["file"]].append(entry)
    if run.returncode:
        print(f"{form}: exit code {run.returncode}: {run.stderr.decode()[:500]}")
    return found, run.returncode


def compare(arguments, folder):
    chance = random.Random(arguments.seed)
    made = {}
    for number in range(arguments.logs):
        form = "tornlog" if number % 2 == 0 else list(FORMATS)[number // 2 % len(FORMATS)]
        path, done = write(chance, form, os.path.join(folder, f"{number:05}"))
        made.setdefault(form, {})[path] = done
    records = differing = headless = damaged = 0
    for form, logs in made.items():
        printed, code = lines_of(arguments.tornlog, form, list(logs))
        differing += code != 0
        for path, done in logs.items():
            damaged += bool(done)
            expected = mine(form, path)
            if expected is None:
                headless += 1
                continue
            records += len(expected[0])
            found = theirs(form, printed[path], used(path))
            if found != expected:
                differing += 1
                if differing <= arguments.show:
                    print(f"{form} {path} ({', '.join(done)})")
                    for one, other in zip(expected, found):
                        if one != other:
                            print("   page", str([x for x in one if x not in other] if one and other else one)[:300])
                            print("   tool", str([x for x in other if x not in one] if one and other else other)[:300])
    print(f"{arguments.logs} logs, {damaged} damaged, {headless} without a head", end=", ")
    print(f"{records} records compared, {differing} differ")
    return 1 if differing or not records else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tornlog")
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=5)
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    if arguments.keep:
        return compare(arguments, arguments.keep)
    with tempfile.TemporaryDirectory() as folder:
        return compare(arguments, folder)


if __name__ == "__main__":
    sys.exit(main())
