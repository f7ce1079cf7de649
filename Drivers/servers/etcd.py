#!/usr/bin/env python3
"""etcd, one member, over its JSON gateway. Model: transactions.

Needs Debian's etcd-server and etcd-client. `config` has options of etcd, for example {"unsafe-no-fsync": true}.
"""

import sys

sys.path[0] += "/.."
from driving import Failed, Server, free_port, reply, run, serve, text

import base64
import http.client
import json
import os
import tempfile


class Driver:
    name = "etcd"
    version = run(["etcd", "--version"]).split()[2]
    operations = ["put", "delete", "scan", "txn", "check"]
    forks = True

    def open(self, request):
        self.client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        options = {"data-dir": f"{request['dir']}/etcd"}
        options |= {"listen-client-urls": self.client, "advertise-client-urls": self.client}
        options |= {"listen-peer-urls": peer, "initial-advertise-peer-urls": peer, "initial-cluster": f"default={peer}"}
        # The shortest election that etcd allows: one member elects itself.
        options |= {"heartbeat-interval": 10, "election-timeout": 50, "logger": "zap"} | request["config"]
        words = {name: value if isinstance(value, str) else json.dumps(value) for name, value in options.items()}
        self.server = Server(["etcd", *(f"--{name}={value}" for name, value in words.items())])
        self.http = http.client.HTTPConnection(self.client.removeprefix("http://"))
        # A read that goes through the log: the server has elected itself.
        self.server.wait_for(lambda: self.call("range", key=code("k")), http.client.HTTPException, Failed)

    def call(self, name, **body):
        try:
            self.http.request("POST", f"/v3/kv/{name}", json.dumps(body))
            answer = json.loads(self.http.getresponse().read())
        except (OSError, http.client.HTTPException):
            self.http.close()
            raise
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def txn(self, request):
        steps = []
        for step in request["do"]:
            if step["op"] == "put":
                steps.append({"requestPut": {"key": code(step["key"]), "value": code(step["value"])}})
            else:
                steps.append({"requestDeleteRange": {"key": code(step["key"])}})
        self.call("txn", success=steps)

    def put(self, step):
        self.call("put", key=code(step["key"]), value=code(step["value"]))

    def delete(self, step):
        self.call("deleterange", key=code(step["key"]))

    def scan(self, request):
        # From the first key to the last.
        found = self.call("range", key=code("\0"), range_end=code("\0")).get("kvs", [])
        reply(request, items=[[decoded(item["key"]), decoded(item["value"])] for item in found])

    def check(self, request):
        # The tool reads a copy only: the server has locked its own file.
        with tempfile.TemporaryDirectory() as folder:
            for command in ("save", "status"):
                tool = ["etcdctl", f"--endpoints={self.client}", "snapshot", command, f"{folder}/copy"]
                run(tool, env=os.environ | {"ETCDCTL_API": "3"})

    def close(self, request):
        self.server.stop()


def code(string):
    return base64.b64encode(string.encode()).decode()


def decoded(string):
    return text(base64.b64decode(string))


serve(Driver(), OSError, http.client.HTTPException)
