#!/usr/bin/env python3
"""Redis. Model: transactions.

Needs Debian's redis-server. `config` has options of it; the default is appendonly "yes", appendfsync "always", save "".
"""

import sys

sys.path[0] += "/.."
from driving import Failed, Server, free_port, reply, run, serve, text

import glob
import os
import socket


class Driver:
    name = "redis"
    version = run(["redis-server", "--version"]).split("=")[1].split()[0]
    operations = ["put", "delete", "scan", "txn", "check"]
    forks = True

    def open(self, request):
        port, self.folder = free_port(), request["dir"]
        options = {"appendonly": "yes", "appendfsync": "always", "save": ""} | request["config"]
        options |= {"dir": self.folder, "bind": "127.0.0.1", "port": port}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self.server = Server(["redis-server", *words])
        self.server.wait_for_port(port)
        self.connection = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
        # It answers with an error while it reads its files.
        self.server.wait_for(lambda: self.call("PING"), Failed)

    def put(self, step):
        self.call("SET", step["key"], step["value"]) if step["op"] == "put" else self.call("DEL", step["key"])

    delete = put

    def txn(self, request):
        self.call("MULTI")
        for step in request["do"]:
            self.put(step)
        self.call("EXEC")

    def scan(self, request):
        keys = self.call("KEYS", "*")
        reply(request, items=list(zip(keys, self.call("MGET", *keys) if keys else [])))

    def check(self, request):
        for manifest in glob.glob(os.path.join(self.folder, "appendonlydir", "*.manifest")):
            run(["redis-check-aof", manifest])
        # Not those of a child that was killed, temp-PID.rdb: the server never reads them.
        if os.path.exists(dump := os.path.join(self.folder, "dump.rdb")):
            run(["redis-check-rdb", dump])

    def close(self, request):
        self.server.stop()

    def call(self, *words):  # https://redis.io/docs/latest/develop/reference/protocol-spec/
        strings = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        self.connection.write(f"*{len(words)}\r\n{strings}".encode())
        self.connection.flush()
        return self.read()

    def read(self):
        line = self.connection.readline().decode(errors="replace")
        if line[:1] in ("", "-"):
            raise Failed(line.strip() or "redis-server closed the connection")
        if line[0] == "$":
            return None if line == "$-1\r\n" else text(self.connection.read(int(line[1:]) + 2)[:-2])
        return [self.read() for _ in range(int(line[1:]))] if line[0] == "*" else line


serve(Driver(), OSError)
