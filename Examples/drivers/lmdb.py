#!/usr/bin/env python3
"""LMDB behind the driver protocol, version 1 (docs/driver-protocol.md). Model: transactions, map.

    tornlog test -- /usr/bin/python3 Examples/drivers/lmdb.py

Needs Debian's python3-lmdb. `config` is passed to lmdb.open(), for example {"sync": false} or {"metasync": false}.
Its default here is {"map_size": 67108864}: LMDB must know the largest size of the file.
"""

import json
import sys

sys.path.pop(0)  # This file has the name of the module that it needs.
try:
    import lmdb
except ImportError:
    sys.exit("no module lmdb: apt-get install python3-lmdb, and start this with /usr/bin/python3")


class Driver:
    """One method for each operation. What it returns are the members of the reply beside `id` and `ok`."""

    operations = ["put", "delete", "get", "scan", "txn", "flush"]
    db = None

    def hello(self, request):
        return {"name": "lmdb", "version": "%d.%d.%d" % lmdb.version(), "ops": self.operations, "reopens": True}

    def open(self, request):
        self.db = lmdb.open(request["dir"], **{"map_size": 64 << 20} | request["config"])

    def put(self, request):
        self.txn({"do": [request]})

    delete = put

    def get(self, request):
        with self.db.begin() as transaction:
            value = transaction.get(request["key"].encode())
        return {"value": None if value is None else value.decode()}

    def scan(self, request):
        with self.db.begin() as transaction:
            reply(request, items=[[key.decode(), value.decode()] for key, value in transaction.cursor()])

    def txn(self, request):
        with self.db.begin(write=True) as transaction:  # commits at the end, aborts after an exception
            for step in request["do"]:
                if step["op"] == "put":
                    transaction.put(step["key"].encode(), step["value"].encode())
                else:
                    transaction.delete(step["key"].encode())

    def flush(self, request):
        self.db.sync(True)

    def close(self, request):
        if self.db:
            self.db.close()


def reply(request, **members):
    print(json.dumps({"id": request["id"], **members}), flush=True)


driver = Driver()
for line in sys.stdin:
    request = json.loads(line)
    try:
        if request["op"] not in driver.operations + ["hello", "open", "close"]:
            raise NotImplementedError(request["op"])
        members = getattr(driver, request["op"])(request)
    except lmdb.Error as error:  # The program failed: its own words. Without `outcome` that means: unknown.
        reply(request, ok=False, error=str(error))
    except Exception as error:  # The driver failed. That says nothing about the program.
        reply(request, ok=False, outcome="driver", error=repr(error))
    else:
        reply(request, ok=True, **(members or {}))
