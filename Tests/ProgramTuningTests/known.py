"""A log in one file whose latencies and losses are known. Driver protocol, version 1. Model: log.

`config`: `pause` is the time of each append in milliseconds. `sync` is `always`, `never`, or the milliseconds between two
syncs, which a thread makes.
"""

import json
import os
import sys
import threading
import time

tail, stopped, syncer = None, threading.Event(), None


def reply(request, **members):
    print(json.dumps({"id": request["id"], **members}), flush=True)


def sync_every(seconds):
    while not stopped.wait(seconds):
        os.fdatasync(tail)


def open_log(request):
    global tail, syncer, sync, pause
    sync, pause = request["config"]["sync"], request["config"]["pause"] / 1000
    tail = os.open(os.path.join(request["dir"], "log"), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    folder = os.open(request["dir"], os.O_RDONLY)
    os.fsync(tail)
    os.fsync(folder)
    os.close(folder)
    stopped.clear()
    if isinstance(sync, int):
        syncer = threading.Thread(target=sync_every, args=(sync / 1000,))
        syncer.start()


def append(value):
    time.sleep(pause)
    os.write(tail, f"{len(value)} {value}\n".encode())
    if sync == "always":
        os.fdatasync(tail)


def records():
    for line in os.pread(tail, 1 << 26, 0).split(b"\n"):
        length, _, value = line.decode().partition(" ")
        if length.isdigit() and int(length) == len(value):
            yield value


def close():
    global syncer
    stopped.set()
    if syncer:
        syncer.join()
        syncer = None
    os.fsync(tail)
    os.close(tail)


for line in sys.stdin:
    request = json.loads(line)
    match request["op"]:
        case "hello":
            reply(request, ok=True, name="known", version="1", ops=["append", "scan"], reopens=True)
            continue
        case "open":
            open_log(request)
        case "append":
            append(request["value"])
        case "scan":
            reply(request, items=[[place, value] for place, value in enumerate(records())])
        case "close":
            close()
    reply(request, ok=True)
