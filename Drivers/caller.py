"""Calls a driver without Tornlog: the other side of the driver protocol (docs/driver-protocol.md)."""

import json
import os
import select
import signal
import subprocess
import time


class Refused(Exception):
    """What the engine or its driver answered in place of success."""


class Caller:
    """A driver in a session of its own. The session ends with it."""

    def __init__(self, command, limit, folder=None):
        self.limit, self.number, self.buffer = limit, 0, b""
        self.log = open(os.devnull, "wb") if folder is None else open(os.path.join(folder, "driver.log"), "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        start_new_session=True)

    def line(self, deadline):
        while b"\n" not in self.buffer:
            if not select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Refused(f"no answer within {self.limit:g} s")
            if not (more := os.read(self.process.stdout.fileno(), 1 << 20)):
                code = self.process.wait()
                raise Refused(f"the driver ended by signal {-code}" if code < 0 else f"the driver ended with {code}")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def call(self, operation, **members):
        """Returns the reply. That of a scan has all items."""
        self.number += 1
        request = {"id": self.number, "op": operation, **members}
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Refused("the driver has ended")
        deadline, items = time.monotonic() + self.limit, []
        while True:
            reply = self.line(deadline)
            if "died" in reply:
                raise Refused(f"the engine's process died: {reply['died']}")
            if reply.get("id") != self.number:
                continue
            items += reply.get("items", [])
            if "ok" in reply:
                if not reply["ok"]:
                    raise Refused(reply.get("error", "no reason given"))
                return reply | {"items": items}

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()
