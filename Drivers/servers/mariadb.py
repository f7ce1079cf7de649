#!/usr/bin/env python3
"""MariaDB with InnoDB. Model: transactions.

Needs Debian's mariadb-server and python3-pymysql. `config` has options of mariadbd, for example
{"innodb-flush-log-at-trx-commit": 2} or {"skip-innodb-doublewrite": ""}.
"""

import sys

sys.path[0] += "/.."
from driving import Server, free_port, reply, run, serve, sync_names

import os

import pymysql


class Driver:
    name = "mariadb"
    version = run(["mariadbd", "--no-defaults", "--version"]).split()[2]
    operations = ["put", "delete", "scan", "txn", "check"]
    forks = True

    def open(self, request):
        folder = os.path.join(request["dir"], "mysql")
        # Small files: each state is served whole, and read whole at the start.
        options = ["--no-defaults", f"--datadir={folder}", "--user=root", "--innodb-log-file-size=4M"]
        options += ["--innodb-buffer-pool-size=8M", "--key-buffer-size=1M", "--aria-pagecache-buffer-size=1M"]
        if request.get("create"):
            run(["mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db"])
            sync_names(request["dir"])
        port = free_port()
        options += [f"--{name}" + (f"={value}" if value != "" else "") for name, value in request["config"].items()]
        options += ["--bind-address=127.0.0.1", f"--port={port}", "--socket=", f"--pid-file={folder}/pid"]
        self.server = Server(["mariadbd", *options])
        self.db = self.server.wait_for(
            lambda: pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True), pymysql.Error)
        self.query("CREATE DATABASE IF NOT EXISTS d")
        self.query("USE d")
        self.query("CREATE TABLE IF NOT EXISTS map (k VARCHAR(64) PRIMARY KEY, v TEXT) ENGINE=InnoDB")

    def query(self, statement, *values):
        cursor = self.db.cursor()
        cursor.execute(statement, values)
        return cursor.fetchall()

    def put(self, step):
        self.query("REPLACE INTO map VALUES (%s, %s)", step["key"], step["value"])

    def delete(self, step):
        self.query("DELETE FROM map WHERE k = %s", step["key"])

    def txn(self, request):
        self.query("BEGIN")
        for step in request["do"]:
            self.put(step) if step["op"] == "put" else self.delete(step)
        self.query("COMMIT")

    def scan(self, request):
        reply(request, items=self.query("SELECT k, v FROM map"))

    def check(self, request):
        answer = self.query("CHECK TABLE map EXTENDED")
        if answer[-1][3] != "OK":
            raise pymysql.Error(str(answer))

    def close(self, request):
        self.server.stop()


serve(Driver(), pymysql.Error)
