#!/usr/bin/env python3
"""GNU dbm. Model: map.

Needs Debian's python3-gdbm. `config`, with its default: {"mode": "cs"}: "s" syncs after each write, "f" is gdbm's default.
"""

import os

from driving import reply, serve
from dbm import gnu


class Driver:
    name = "gdbm"
    version = ".".join(str(part) for part in getattr(gnu, "_GDBM_VERSION", ("?",)))
    operations = ["put", "delete", "scan", "flush"]

    def open(self, request):
        self.db = gnu.open(os.path.join(request["dir"], "map.gdbm"), request["config"].get("mode", "cs"))

    def put(self, request):
        self.db[request["key"]] = request["value"]

    def delete(self, request):
        if request["key"] in self.db:
            del self.db[request["key"]]

    def scan(self, request):
        reply(request, items=[[key.decode(), self.db[key].decode()] for key in self.db.keys()])

    def flush(self, request):
        self.db.sync()

    def close(self, request):
        self.db.close()


serve(Driver(), gnu.error, OSError)
