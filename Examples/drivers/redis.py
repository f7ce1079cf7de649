#!/usr/bin/env python3
"""Redis behind the driver protocol, version 1 (docs/driver-protocol.md). Model: transactions, map.

Needs redis-server. `config` has options of it; the default is appendonly "yes", appendfsync "always", save "". """

import json, shutil, socket, subprocess, sys, time
shutil.which("redis-server") or sys.exit("no redis-server: apt-get install redis-server")


class Driver:
    server = None

    def hello(self, request):
        version = subprocess.getoutput("redis-server --version").split("=")[1].split()[0]
        return {"name": "redis", "version": version, "ops": ["put", "delete", "scan", "txn"]}

    def open(self, request):
        port = socket.create_server(("127.0.0.1", 0)).getsockname()[1]  # a free one
        options = {"appendonly": "yes", "appendfsync": "always", "save": ""} | request["config"]
        options |= {"dir": request["dir"], "bind": "127.0.0.1", "port": port}
        command = ["redis-server"] + [word for name, value in options.items() for word in (f"--{name}", str(value))]
        # Its output goes to the driver's log: standard output belongs to the protocol.
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        while self.server.poll() is None:  # Tornlog's time limit ends a server that never answers.
            try:
                self.connection = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
                return self.call("PING") and {}  # Redis answers with an error while it reads its files.
            except OSError:
                time.sleep(0.005)
        raise OSError(f"redis-server ended with {self.server.returncode}")

    def close(self, request):
        if self.server:
            self.server.terminate()  # For Redis SIGTERM is an orderly stop.
            self.server.wait()

    def put(self, step):
        self.call(*(["SET", step["key"], step["value"]] if step["op"] == "put" else ["DEL", step["key"]]))

    delete = put

    def scan(self, request):
        keys = self.call("KEYS", "*")
        reply(request, items=list(zip(keys, self.call("MGET", *keys) if keys else [])))

    def txn(self, request):
        self.call("MULTI")
        for step in request["do"]:
            self.put(step)
        self.call("EXEC")

    def call(self, *words):  # https://redis.io/docs/latest/develop/reference/protocol-spec/
        strings = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        self.connection.write(f"*{len(words)}\r\n{strings}".encode())
        self.connection.flush()
        return self.read()

    def read(self):
        line = self.connection.readline().decode(errors="replace")
        if line[:1] in ("", "-"):
            raise OSError(line or "redis-server closed the connection")
        if line[0] == "$":
            return None if line == "$-1\r\n" else self.connection.read(int(line[1:]) + 2)[:-2].decode(errors="replace")
        return [self.read() for _ in range(int(line[1:]))] if line[0] == "*" else line


def reply(request, **members):
    print(json.dumps({"id": request["id"], **members}), flush=True)


driver = Driver()
for line in sys.stdin:
    request = json.loads(line)
    try:
        reply(request, ok=True, **(getattr(driver, request["op"])(request) or {}))
    except Exception as error:
        # The program's own failure, in its words; or the driver's, which says nothing about the program.
        outcome = "unknown" if isinstance(error, OSError) else "driver"
        reply(request, ok=False, outcome=outcome, error=str(error))
driver.close({})  # Standard input has ended: nothing is left running.
