"""A log in one file behind the driver protocol, with one thing wrong, named by the first argument.

The second argument is a file that outlives the process, for what goes wrong once only.
"""

import json
import mmap
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid

how = sys.argv[1]
memory = sys.argv[2] if len(sys.argv) > 2 else None
# Mappings that stay.
mapped = []
tail = None
# The last record.
written = b""
request_folder = None


def reply(request, **members):
    print(json.dumps({"id": request["id"], **members}), flush=True)


def path(request):
    return os.path.join(request["dir"], "log")


def store(value):
    """Through a shared mapping, and nobody is told when."""
    record = f"{sum(value.encode())} {value}\n".encode()
    end = len(read_all().rstrip(b"\0"))
    os.ftruncate(tail, 1 << 16)
    pages = mmap.mmap(tail, 1 << 16)
    pages[end : end + len(record)] = record
    if how == "maps-and-syncs":
        pages.flush()
    if how == "maps-and-syncs-at-start":
        mapped.append(pages)
    else:
        pages.close()


def sync_again(file):
    """PostgreSQL's old mistake (fsyncgate): the second fsync succeeds, and the pages count as clean since the first."""
    os.fsync(file)


def read_and_sync_again(file):
    """What can be read is taken for what is stored."""
    if written and not read_all().endswith(written):
        os._exit(5)
    os.fsync(file)


def write_and_sync_again(file):
    """Of a new descriptor, for O_APPEND takes no offset."""
    other = os.open(f"/proc/self/fd/{file}", os.O_RDWR)
    if written:
        os.pwrite(other, written, os.fstat(file).st_size - len(written))
    os.fsync(other)
    os.close(other)


SYNC_AGAIN = {
    "syncs-again": sync_again, "reads-and-syncs-again": read_and_sync_again, "writes-and-syncs-again": write_and_sync_again
}


def make_durable(file):
    if how == "sync":
        os.sync()
    elif how == "syncfs":
        subprocess.run(["sync", "-f", f"/proc/{os.getpid()}/fd/{file}"], check=True)
    elif how == "ignores-failed-sync":
        try:
            os.fsync(file)
        except OSError:
            pass
    elif how in SYNC_AGAIN:
        try:
            os.fsync(file)
        except OSError:
            SYNC_AGAIN[how](file)
    elif how not in ("never-syncs", "names-at-random"):
        os.fsync(file)


def open_log(request):
    global tail, request_folder
    request_folder = request["dir"]
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
    if how == "maps-and-syncs-at-start":
        # Tells of a page that could not be written back since.
        os.fsync(tail)
    cut_torn_tail()
    if how == "names-at-random":
        open(f"{request['dir']}/lock-{uuid.uuid4()}", "w").close()
    if how == "trusts-the-cache":
        trust_the_cache(request)
    if how == "rewrites-at-end":
        signal.signal(signal.SIGTERM, rewrite)
    if how == "says-nothing-at-end":
        signal.signal(signal.SIGTERM, lambda *_: time.sleep(1000))
    if request["create"]:
        folder = os.open(request["dir"], os.O_RDONLY)
        make_durable(tail)
        make_durable(folder)
        os.close(folder)


def read_all():
    """All bytes of the log, however few come at a time."""
    data = b""
    while part := os.pread(tail, 1 << 20, len(data)):
        data += part
    return data


def cut_torn_tail():
    """After a torn record another would not be found."""
    if how == "keeps-torn-tail":
        return
    try:
        data = read_all()
    except OSError:
        if how != "takes-read-error-for-end":
            raise
        data = b""
    end = data.rfind(b"\n") + 1
    if not how.startswith("maps") and end < os.fstat(tail).st_size:
        os.ftruncate(tail, end)
        os.fsync(tail)


def write_record(value):
    global written
    record = written = f"{sum(value.encode())} {value}\n".encode()
    while record:
        record = record[os.write(tail, record) :]


def trust_the_cache(request):
    """Notes durably how long the log is, and makes the log itself no more durable than it was."""
    note = request["dir"] + "/size"
    size = os.fstat(tail).st_size
    if os.path.exists(note):
        with open(note) as file:
            noted = int(file.read() or 0)
        if size < noted:
            raise OSError(f"the log has {size} bytes, and had {noted}")
    made = os.open(note + ".new", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(made, str(size).encode())
    os.fsync(made)
    os.close(made)
    os.rename(note + ".new", note)
    folder = os.open(request["dir"], os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def rewrite(*_):
    """Compacts the log in place, one record after the other."""
    if tail is None:
        sys.exit(0)
    records = read_all()
    os.ftruncate(tail, 0)
    for record in records.splitlines(keepends=True):
        os.write(tail, record)
        os.fsync(tail)
    sys.exit(0)


def whole_records():
    records = read_all().split(b"\n")[:-1]
    if how == "loses-once" and len(records) > 2 and not os.path.exists(memory):
        open(memory, "w").close()
        return records[:-1]
    return records if how != "invents" else records + [b"nobody:wrote this"]


def serve(request):
    global tail
    op = request["op"]
    if op == "hello":
        read = "take" if how == "queue" else "scan"
        reply(request, ok=True, name="misbehaving", version="1", ops=["append", read], reopens=True)
    elif op == "open":
        open_log(request)
        reply(request, ok=True)
    elif op == "append":
        if how == "driver-fails" and not memory:
            reply(request, ok=False, outcome="driver", error="no such table")
            return
        # The sum of the bytes tells a torn record.
        try:
            if how.startswith("maps"):
                store(request["value"])
                reply(request, ok=True)
                return
            if how == "ignores-failed-writes":
                try:
                    value = request["value"]
                    os.write(tail, f"{sum(value.encode())} {value}\n".encode())
                except OSError:
                    pass
            else:
                write_record(request["value"])
            make_durable(tail)
            if how.startswith("keeps-notes"):
                # Nobody reads them.
                with open(request_folder + "/notes", "a") as notes:
                    notes.write("appended\n" * 100)
        except OSError as error:
            # What the file holds now nobody knows.
            print(error, file=sys.stderr, flush=True)
            os._exit(5)
        reply(request, ok=True)
    elif op == "take":
        waiting = {}
        for record in whole_records():
            number, _, value = record.partition(b" ")
            if not number.isdigit() or int(number) != sum(value):
                continue
            value = value.decode("ascii", "replace")
            if value.startswith("-"):
                waiting.pop(value[1:], None)
            else:
                waiting[value] = True
        first = next(iter(waiting), None)
        if first is not None:
            write_record("-" + first)
            make_durable(tail)
        reply(request, ok=True, value=first)
    elif op == "scan":
        items = []
        first = random.randrange(1 << 30) if how == "keeps-notes-and-draws-positions" else 0
        for record in whole_records():
            number, _, value = record.partition(b" ")
            if how == "invents" and number == b"nobody:wrote":
                items.append([len(items), "nobody:wrote this"])
            elif number.isdigit() and (int(number) == sum(value) or how == "has-no-checksum"):
                items.append([first + len(items), value.decode("ascii", "replace")])
        reply(request, items=items)
        reply(request, ok=True)
    elif op == "close":
        os.close(tail)
        tail = None
        reply(request, ok=True)
    else:
        reply(request, ok=False, outcome="driver", error=f"unknown: {op}")


def serve_threads():
    """Several requests at a time, each in a thread; replies come in the order in which they get done."""
    lock = threading.Lock()

    def append(request):
        with lock:
            write_record(request["value"])
        if how != "threads-race":
            os.fsync(tail)
        with lock:
            reply(request, ok=True)
        if how == "threads-race":
            os.fsync(tail)

    running = []
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "append":
            running.append(threading.Thread(target=append, args=(request,)))
            running[-1].start()
            continue
        while running:
            running.pop().join()
        serve(request)
    sys.exit(0)


if how == "dies-first":
    print("no such library", file=sys.stderr)
    sys.exit(1)
if how == "chatters":
    print("Welcome to my log", flush=True)
if how.startswith("threads"):
    serve_threads()
for line in sys.stdin:
    request = json.loads(line)
    try:
        serve(request)
    except OSError as error:
        reply(request, ok=False, outcome="failed" if request["op"] == "open" else "unknown", error=str(error))
