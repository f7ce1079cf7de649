#!/usr/bin/env python3
"""PostgreSQL, with the checks of pg_amcheck. Model: transactions.

Needs Debian's postgresql and python3-psycopg2. `config` has settings, such as {"synchronous_commit": "off"}.
"""

import sys

sys.path[0] += "/.."
from driving import Server, free_port, reply, run, serve, sync_names

import glob
import os
import shutil
import signal

import psycopg2

BIN = sorted(glob.glob("/usr/lib/postgresql/1?/bin"))[-1]
# PostgreSQL refuses to run as root.
USER = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


class Driver:
    name = "postgres"
    version = run([f"{BIN}/postgres", "--version"]).split()[2]
    operations = ["put", "delete", "scan", "txn", "check"]
    forks = True

    def open(self, request):
        cluster, port = os.path.join(request["dir"], "cluster"), free_port()
        if request.get("create"):
            os.mkdir(cluster)
            shutil.chown(cluster, USER.get("user", os.geteuid()))
            run([f"{BIN}/initdb", "-k", "-U", "postgres", "-A", "trust", "-D", cluster], **USER)
            sync_names(request["dir"])
        # After a crash it syncs each of a thousand files. One sync of the file system does the same, and is quick.
        settings = [f"--{name}={value}"
                    for name, value in ({"recovery_init_sync_method": "syncfs"} | request["config"]).items()]
        self.server = Server(
            [f"{BIN}/postgres", "-D", cluster, "-h", "127.0.0.1", "-p", str(port), "-k", "", *settings], **USER)
        self.db = self.server.wait_for(
            lambda: psycopg2.connect(host="127.0.0.1", port=port, user="postgres"), psycopg2.OperationalError)
        self.db.autocommit = True  # Each statement is a transaction of its own, except in `with self.db`.
        self.query("CREATE TABLE IF NOT EXISTS map (k TEXT PRIMARY KEY, v TEXT)")
        self.query("CREATE EXTENSION IF NOT EXISTS amcheck")

    def query(self, statement, values=None):
        cursor = self.db.cursor()
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []

    def put(self, request):
        self.query("INSERT INTO map VALUES (%(key)s, %(value)s) ON CONFLICT (k) DO UPDATE SET v = %(value)s", request)

    def delete(self, request):
        self.query("DELETE FROM map WHERE k = %(key)s", request)

    def txn(self, request):
        with self.db:  # BEGIN; then COMMIT, or ROLLBACK after an exception
            for step in request["do"]:
                self.put(step) if step["op"] == "put" else self.delete(step)

    def scan(self, request):
        reply(request, items=self.query("SELECT k, v FROM map"))

    def check(self, request):
        self.query("SELECT bt_index_check('map_pkey', true)")
        if found := self.query("SELECT msg FROM verify_heapam('map')"):
            raise psycopg2.DatabaseError(str(found))

    def close(self, request):
        self.server.stop(signal.SIGINT)  # For PostgreSQL that is a fast and orderly stop.


serve(Driver(), psycopg2.Error)
