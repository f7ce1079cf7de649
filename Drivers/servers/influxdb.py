#!/usr/bin/env python3
"""InfluxDB 1. Model: log.

Needs Debian's influxdb. `config` has settings of the section `data`; the default is InfluxDB's own, for example
{"wal-fsync-delay": "0s"}, a sync for each write.
"""

import sys

sys.path[0] += "/.."
from driving import Failed, Server, free_port, reply, run, serve

import http.client
import json
import os
import tempfile
import urllib.parse


class Driver:
    name = "influxdb"
    version = run(["influxd", "version"]).split()[1]
    operations = ["append", "scan"]
    forks = True

    def open(self, request):
        port, folder = free_port(), request["dir"]
        settings = {"dir": f"{folder}/data", "wal-dir": f"{folder}/wal", "index-version": "inmem"} | request["config"]
        text = f'reporting-disabled = true\nbind-address = "127.0.0.1:{free_port()}"\n[meta]\ndir = "{folder}/meta"\n'
        text += "[data]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
        text += f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n'
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(text)
            file.flush()
            self.server = Server(["influxd", "run", "-config", file.name])
            self.http = http.client.HTTPConnection("127.0.0.1", port)
            self.server.wait_for(lambda: self.call("GET", "/ping"), http.client.HTTPException)
        self.call("POST", "/query?q=CREATE+DATABASE+d")
        self.next = {log: self.items(log)[-1][0] + 1 if self.items(log) else 1 for log in "ab"}

    def call(self, method, path, body=None):
        try:
            self.http.request(method, path, body)
            answer = self.http.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            self.http.close()
            raise
        if answer.status >= 300 or '"error"' in text:
            raise Failed(text)
        return text

    def items(self, log):
        query = urllib.parse.quote(f"SELECT value FROM {log}")
        answer = json.loads(self.call("GET", f"/query?db=d&epoch=ns&q={query}"))["results"][0]
        return answer["series"][0]["values"] if "series" in answer else []

    def append(self, request):
        log = request["log"]
        position, self.next[log] = self.next[log], self.next[log] + 1
        self.call("POST", "/write?db=d", f'{log} value="{request["value"]}" {position}')
        return {"position": position}

    def scan(self, request):
        reply(request, items=self.items(request["log"]))

    def close(self, request):
        self.server.stop()


serve(Driver(), OSError, http.client.HTTPException)
