#!/usr/bin/env python3
"""A driver for the log beside it: docs/driver-protocol.md, model `log`.

    tornlog test -- python3 Examples/buggy-log/driver.py            the sound log
    tornlog test -- python3 Examples/buggy-log/driver.py --bug 3    with a bug, 1 to 6: see README.md
"""

import argparse
import json
import os
import sys
import traceback

from log import Log


class Driver:
    def __init__(self, bug):
        self.bug = bug
        self.folder = None
        self.logs = {}  # name: Log. Each has a folder of its own.

    def hello(self, request):
        return {"name": "buggy-log", "version": f"1, bug {self.bug}" if self.bug else "1",
                "ops": ["append", "scan", "flush", "check"], "reopens": True}

    def open(self, request):
        self.folder = request["dir"]
        self.logs = {}
        for name in sorted(os.listdir(self.folder)):
            self.logs[name] = Log(os.path.join(self.folder, name), self.bug)

    def append(self, request):
        name = request["log"]
        if name not in self.logs:
            self.logs[name] = Log(os.path.join(self.folder, name), self.bug)
        log = self.logs[name]
        if self.bug == 4:  # Bug 4: the caller hears "done" before anything is written.
            reply(request, ok=True, position=len(log.records))
            try:
                log.append(request["value"])
            except OSError:
                traceback.print_exc()  # Too late: the caller has heard "done".
            return None
        return {"position": log.append(request["value"])}

    def scan(self, request):
        log = self.logs.get(request["log"])
        reply(request, items=list(enumerate(log.read() if log else [])))

    def flush(self, request):
        pass  # What is acknowledged is durable already.

    def check(self, request):
        for log in self.logs.values():
            log.check()

    def close(self, request):
        for log in self.logs.values():
            log.close()
        self.logs = {}


def reply(request, **members):
    print(json.dumps({"id": request["id"], **members}), flush=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--bug", type=int, default=0, choices=range(7), help="0: none")
    driver = Driver(options.parse_args().bug)
    for line in sys.stdin:
        request = json.loads(line)
        operation = request["op"]
        if operation not in ("hello", "open", "append", "scan", "flush", "check", "close"):
            reply(request, ok=False, outcome="driver", error=f"no such operation: {operation}")
            continue
        try:
            members = getattr(driver, operation)(request)
        except Exception as error:
            traceback.print_exc()
            reply(request, ok=False, error=f"{type(error).__name__}: {error}")
            continue
        if not (driver.bug == 4 and operation == "append"):  # Bug 4 has answered already.
            reply(request, ok=True, **(members or {}))


main()
