"""A log in one file behind the driver protocol, with one thing wrong, named by the first argument.

The second argument is a file that outlives the process, for what goes wrong once only.
"""

import json
import os
import signal
import subprocess
import sys
import time

how = sys.argv[1]
memory = sys.argv[2] if len(sys.argv) > 2 else None
tail = None


def reply(request, **members):
    print(json.dumps({"id": request["id"], **members}), flush=True)


def path(request):
    return os.path.join(request["dir"], "log")


def make_durable(file):
    if how == "sync":
        os.sync()
    elif how == "syncfs":
        subprocess.run(["sync", "-f", f"/proc/{os.getpid()}/fd/{file}"], check=True)
    elif how != "never-syncs":
        os.fsync(file)


def open_log(request):
    global tail
    if not request["create"]:
        if how == "hangs":
            time.sleep(1000)
        if how == "hangs-with-child":
            subprocess.Popen(["sleep", "1000"])
            time.sleep(1000)
        if how == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        if how == "exits":
            print("the index is broken", file=sys.stderr, flush=True)
            os._exit(3)
        if how == "refuses":
            raise OSError("the log is too old")
    tail = os.open(path(request), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    if request["create"]:
        folder = os.open(request["dir"], os.O_RDONLY)
        make_durable(tail)
        make_durable(folder)
        os.close(folder)
    else:
        # What is appended behind a torn line would be a part of it.
        size = os.fstat(tail).st_size
        whole = os.pread(tail, size, 0).rfind(b"\n") + 1
        if whole < size:
            os.ftruncate(tail, whole)


def whole_records():
    size = os.fstat(tail).st_size
    records = os.pread(tail, size, 0).split(b"\n")[:-1]
    if how == "loses-once" and len(records) > 2 and not os.path.exists(memory):
        open(memory, "w").close()
        return records[:-1]
    return records if how != "invents" else records + [b"nobody:wrote this"]


def serve(request):
    global tail
    op = request["op"]
    if op == "hello":
        reply(request, ok=True, name="misbehaving", version="1", ops=["append", "scan"], reopens=True)
    elif op == "open":
        open_log(request)
        reply(request, ok=True)
    elif op == "append":
        if how == "driver-fails" and not memory:
            reply(request, ok=False, outcome="driver", error="no such table")
            return
        # The sum of the bytes tells a torn record.
        os.write(tail, f"{sum(request['value'].encode())} {request['value']}\n".encode())
        make_durable(tail)
        reply(request, ok=True)
    elif op == "scan":
        items = []
        for record in whole_records():
            number, _, value = record.partition(b" ")
            if how == "invents" and number == b"nobody:wrote":
                items.append([len(items), "nobody:wrote this"])
            elif number.isdigit() and int(number) == sum(value):
                items.append([len(items), value.decode("ascii", "replace")])
        reply(request, items=items)
        reply(request, ok=True)
    elif op == "close":
        os.close(tail)
        tail = None
        reply(request, ok=True)
    else:
        reply(request, ok=False, outcome="driver", error=f"unknown: {op}")


if how == "dies-first":
    print("no such library", file=sys.stderr)
    sys.exit(1)
if how == "chatters":
    print("Welcome to my log", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    try:
        serve(request)
    except OSError as error:
        reply(request, ok=False, outcome="failed" if request["op"] == "open" else "unknown", error=str(error))
