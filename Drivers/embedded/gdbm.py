#!/usr/bin/env python3
"""GNU dbm. Model: map.

Needs Debian's python3-gdbm. `config`, with its default: {"mode": "cs"}. "s" syncs after each write, which GNU dbm
itself does not do by default: {"mode": "c"}.
"""

import sys

sys.path[0] += "/.."
from driving import reply, run, serve, text

import os
from dbm import gnu


class Driver:
    name = "gdbm"
    version = run(["dpkg-query", "-f${Version}", "-W", "libgdbm6"])
    operations = ["put", "delete", "scan", "flush"]

    def open(self, request):
        self.db = gnu.open(os.path.join(request["dir"], "map.gdbm"), request["config"].get("mode", "cs"))

    def put(self, request):
        self.db[request["key"]] = request["value"]

    def delete(self, request):
        if request["key"] in self.db:
            del self.db[request["key"]]

    def scan(self, request):
        # A key that is listed and has no value raises KeyError: that is the program's failure.
        reply(request, items=[[text(key), text(self.db[key])] for key in self.db.keys()])

    def flush(self, request):
        self.db.sync()

    def close(self, request):
        self.db.close()


serve(Driver(), gnu.error, OSError, KeyError)
