#!/usr/bin/env python3
"""ZooKeeper, one server. Model: transactions.

Needs Debian's libzookeeper-java, a Java runtime and python3-kazoo. `config` has system properties of the server without
`zookeeper.`, for example {"forceSync": "no"}.
"""

import sys

sys.path[0] += "/.."
from driving import Failed, Server, free_port, reply, run, serve, text

import os
import socket

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError

JAR = "/usr/share/java/zookeeper.jar"


class Driver:
    name = "zookeeper"
    version = run(["dpkg-query", "-f${Version}", "-W", "libzookeeper-java"]).split("-")[0]
    operations = ["put", "delete", "scan", "txn"]
    forks = True

    def open(self, request):
        port = free_port()
        # `preAllocSize` in KiB: a small log, for each state is served whole.
        settings = {"admin.enableServer": "false", "preAllocSize": "64"} | request["config"]
        # The fastest start of a virtual machine.
        command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx128m"]
        command += [f"-Dzookeeper.{name}={value}" for name, value in settings.items()]
        command += ["-cp", JAR]
        command += ["org.apache.zookeeper.server.ZooKeeperServerMain", str(port), os.path.join(request["dir"], "zk")]
        self.server = Server(command)
        self.server.wait_for(lambda: serves(port), Failed)
        self.client = KazooClient(f"127.0.0.1:{port}", timeout=30)
        self.client.start(timeout=60)
        self.client.ensure_path("/map")

    def txn(self, request):
        transaction = self.client.transaction()
        there = set(self.client.get_children("/map"))
        for step in request["do"]:
            path = "/map/" + step["key"]
            if step["op"] == "put":
                change = transaction.set_data if step["key"] in there else transaction.create
                change(path, step["value"].encode())
            elif step["key"] in there:
                transaction.delete(path)
        for answer in transaction.commit():
            if isinstance(answer, Exception):
                raise answer

    def put(self, request):
        self.txn({"do": [request]})

    delete = put

    def scan(self, request):
        items = [[key, text(self.client.get("/map/" + key)[0])] for key in self.client.get_children("/map")]
        reply(request, items=items)

    def close(self, request):
        self.client.stop()
        self.server.stop()


def serves(port):
    """Asks the server for its state: before it serves it closes the connection without an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"srvr")
        if b"Mode: standalone" not in connection.makefile("rb").read():
            raise Failed("it does not serve yet")


serve(Driver(), KazooException, KazooTimeoutError, OSError)
