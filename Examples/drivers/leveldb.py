#!/usr/bin/env python3
"""LevelDB behind the driver protocol, version 1 (docs/driver-protocol.md). Model: transactions, map.

    tornlog test -- /usr/bin/python3 Examples/drivers/leveldb.py

Needs Debian's python3-plyvel. `config`, with its defaults: {"sync": true}. `sync` goes with each write;
whatever else stands there is passed to plyvel.DB(), for example {"paranoid_checks": true}.
"""

import json
import sys

try:
    import plyvel
except ImportError:
    sys.exit("no module plyvel: apt-get install python3-plyvel, and start this with /usr/bin/python3")


class Driver:
    """One method for each operation. What it returns are the members of the reply beside `id` and `ok`."""

    operations = ["put", "delete", "get", "scan", "txn"]
    db = None

    def hello(self, request):
        version = f"plyvel {plyvel.__version__}"  # LevelDB's own number is not to be had from Python.
        return {"name": "leveldb", "version": version, "ops": self.operations, "reopens": True}

    def open(self, request):
        options = dict(request["config"])
        self.sync = options.pop("sync", True)
        self.db = plyvel.DB(request["dir"], create_if_missing=True, **options)

    def put(self, request):
        self.db.put(request["key"].encode(), request["value"].encode(), sync=self.sync)

    def delete(self, request):
        self.db.delete(request["key"].encode(), sync=self.sync)

    def get(self, request):
        value = self.db.get(request["key"].encode())
        return {"value": None if value is None else value.decode()}

    def scan(self, request):
        reply(request, items=[[key.decode(), value.decode()] for key, value in self.db])

    def txn(self, request):
        with self.db.write_batch(transaction=True, sync=self.sync) as batch:  # one record of the log: all or nothing
            for step in request["do"]:
                if step["op"] == "put":
                    batch.put(step["key"].encode(), step["value"].encode())
                else:
                    batch.delete(step["key"].encode())

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
    except plyvel.Error as error:  # The program failed: its own words. Without `outcome` that means: unknown.
        reply(request, ok=False, error=str(error))
    except Exception as error:  # The driver failed. That says nothing about the program.
        reply(request, ok=False, outcome="driver", error=repr(error))
    else:
        reply(request, ok=True, **(members or {}))
