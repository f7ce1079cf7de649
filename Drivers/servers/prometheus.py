#!/usr/bin/env python3
"""Prometheus, through remote write. Model: log, a series for each record.

Needs Debian's prometheus and python3-snappy. `config` has flags of prometheus.
"""

import sys

sys.path[0] += "/.."
from driving import Failed, Server, free_port, reply, run, serve

import http.client
import json
import struct
import tempfile
import time
import urllib.parse

import snappy


class Driver:
    name = "prometheus"
    version = run(["prometheus", "--version"]).split()[2]
    operations = ["append", "scan"]
    forks = True

    def open(self, request):
        port = free_port()
        options = {"storage.tsdb.path": request["dir"] + "/tsdb", "web.listen-address": f"127.0.0.1:{port}"}
        options |= {"storage.tsdb.wal-segment-size": "10MB"} | request["config"]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            command = ["prometheus", f"--config.file={file.name}", "--web.enable-remote-write-receiver"]
            self.server = Server(command + [f"--{name}={value}" for name, value in options.items()])
            self.http = http.client.HTTPConnection("127.0.0.1", port)
            self.server.wait_for(lambda: self.call("GET", "/-/ready"), http.client.HTTPException, Failed)
        self.next = {log: max([item[0] for item in self.items(log)], default=0) + 1 for log in "ab"}

    def call(self, method, path, body=None):
        try:
            self.http.request(method, path, body)
            answer = self.http.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            self.http.close()
            raise
        if answer.status >= 300:
            raise Failed(f"{answer.status} {text.strip()}")
        return text

    def items(self, log):
        query = urllib.parse.quote(f'last_over_time(record{{log="{log}"}}[1h])')
        found = json.loads(self.call("GET", f"/api/v1/query?query={query}"))["data"]["result"]
        return sorted([int(float(item["value"][1])), item["metric"]["text"]] for item in found)

    def append(self, request):
        log = request["log"]
        position, self.next[log] = self.next[log], self.next[log] + 1
        labels = {"__name__": "record", "log": log, "text": request["value"]}
        sample = field(1, struct.pack("<d", position), 1) + b"\x10" + number(int(time.time() * 1000))
        pairs = [field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels.items()]
        self.call("POST", "/api/v1/write", snappy.compress(field(1, b"".join(pairs) + field(2, sample))))
        return {"position": position}

    def scan(self, request):
        reply(request, items=self.items(request["log"]))

    def close(self, request):
        self.server.stop()


def number(value):  # Protocol Buffers: https://protobuf.dev/programming-guides/encoding/
    return bytes([value]) if value < 128 else bytes([value % 128 | 128]) + number(value // 128)


def field(tag, content, kind=2):
    return number(tag * 8 + kind) + (number(len(content)) if kind == 2 else b"") + content


serve(Driver(), OSError, http.client.HTTPException)
