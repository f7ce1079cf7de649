#!/usr/bin/env python3
"""Berkeley DB, Transactional Data Store. Model: transactions.

Needs berkeleydb (PyPI), built with Debian's libdb5.3-dev. `config`, with its default: {"flags": ""}, names of flags of
the environment, separated by spaces. "TXN_NOSYNC" neither writes nor syncs at a commit, "TXN_WRITE_NOSYNC" writes only.
"""

import sys

sys.path[0] += "/.."
from driving import reply, serve, text

from berkeleydb import db


class Driver:
    name = "berkeleydb"
    version = "%d.%d.%d" % db.version()
    operations = ["put", "delete", "scan", "txn", "flush"]
    environment = table = None

    def open(self, request):
        self.environment = db.DBEnv()
        for name in request["config"].get("flags", "").split():
            self.environment.set_flags(getattr(db, "DB_" + name), 1)
        self.environment.set_lg_max(256 << 10)  # small files: each state is served whole
        # One process uses the environment: its shared regions are in the process's own memory.
        modes = db.DB_INIT_TXN | db.DB_INIT_LOG | db.DB_INIT_LOCK | db.DB_INIT_MPOOL | db.DB_PRIVATE | db.DB_RECOVER
        self.environment.open(request["dir"], modes | db.DB_CREATE)
        self.table = db.DB(self.environment)
        self.table.open("map.db", dbtype=db.DB_BTREE, flags=db.DB_CREATE | db.DB_AUTO_COMMIT)

    def txn(self, request):
        transaction = self.environment.txn_begin()
        for step in request["do"]:
            if step["op"] == "put":
                self.table.put(step["key"].encode(), step["value"].encode(), txn=transaction)
            elif self.table.exists(step["key"].encode(), txn=transaction):
                self.table.delete(step["key"].encode(), txn=transaction)
        transaction.commit()

    def put(self, request):
        self.txn({"do": [request]})

    delete = put

    def scan(self, request):
        reply(request, items=[[text(key), text(value)] for key, value in self.table.items()])

    def flush(self, request):
        self.environment.log_flush()

    def close(self, request):
        if self.table:
            self.table.close()
            self.environment.txn_checkpoint(0, 0, 0)
            self.environment.close()


serve(Driver(), db.DBError)
