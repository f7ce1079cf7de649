#!/usr/bin/env python3
"""beanstalkd behind the driver protocol, version 1 (docs/driver-protocol.md). Model: queue.

Needs beanstalkd. `config`, with its default: {"arguments": "-f0"}, an fsync for each write of the log. "-f50" syncs at
most every 50 ms, "-F" never; "-f0 -s65536" has small files.
"""

import json, shutil, socket, subprocess, sys, time
shutil.which("beanstalkd") or sys.exit("no beanstalkd: apt-get install beanstalkd")


class Driver:
    server = None

    def hello(self, request):
        version = subprocess.getoutput("beanstalkd -v").split()[1]
        return {"name": "beanstalkd", "version": version, "ops": ["append", "take"]}

    def open(self, request):
        port = socket.create_server(("127.0.0.1", 0)).getsockname()[1]  # a free one
        command = ["beanstalkd", "-b", request["dir"], "-l", "127.0.0.1", "-p", str(port)]
        command += request["config"].get("arguments", "-f0").split()
        # Its output goes to the driver's log: standard output belongs to the protocol.
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        self.watched = "default"
        while self.server.poll() is None:  # Tornlog's time limit ends a server that never answers.
            try:
                self.connection = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
                return
            except OSError:
                time.sleep(0.005)
        raise OSError(f"beanstalkd ended with {self.server.returncode}")

    def close(self, request):
        if self.server:
            self.server.terminate()
            self.server.wait()

    def append(self, request):
        self.call(f"use {request['log']}", "USING")
        self.call(f"put 0 0 60 {len(request['value'])}\r\n{request['value']}", "INSERTED")

    def take(self, request):
        if request["log"] != self.watched:
            self.call(f"watch {request['log']}", "WATCHING")
            self.call(f"ignore {self.watched}", "WATCHING")
            self.watched = request["log"]
        words = self.call("reserve-with-timeout 0", "RESERVED", "TIMED_OUT")
        if words[0] == "TIMED_OUT":
            return {"value": None}
        value = self.connection.read(int(words[2]) + 2)[:-2].decode()
        self.call(f"delete {words[1]}", "DELETED")
        return {"value": value}

    def call(self, command, *expected):
        """Sends a command and returns the words of its answer. The first is one of those that are expected."""
        self.connection.write(command.encode() + b"\r\n")
        self.connection.flush()
        words = self.connection.readline().decode().split() or ["closed the connection"]
        if words[0] not in expected:
            raise OSError(f"beanstalkd: {command.split()[0]}: {' '.join(words)}")
        return words


def reply(request, **members):
    print(json.dumps({"id": request["id"], **members}), flush=True)


driver = Driver()
for line in sys.stdin:
    request = json.loads(line)
    try:
        reply(request, ok=True, **(getattr(driver, request["op"])(request) or {}))
    except Exception as error:
        # The program's own failure, in its words; or the driver's, which says nothing about the program.
        outcome = "unknown" if isinstance(error, OSError) else "driver"
        reply(request, ok=False, outcome=outcome, error=str(error))
driver.close({})  # Standard input has ended: nothing is left running.
