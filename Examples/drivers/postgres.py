#!/usr/bin/env python3
"""PostgreSQL behind the driver protocol, version 1 (docs/driver-protocol.md). Model: transactions, map.

Needs Debian's postgresql and python3-psycopg2. `config` has settings, such as {"synchronous_commit": "off"}. """
import glob, json, os, shutil, signal, socket, subprocess, sys, time
try:
    import psycopg2
    BIN = sorted(glob.glob("/usr/lib/postgresql/1?/bin"))[-1]
except (ImportError, IndexError):
    sys.exit("apt-get install postgresql python3-psycopg2, and start this with /usr/bin/python3")
USER = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


class Driver:
    server = None

    def hello(self, request):
        version = subprocess.getoutput(f"{BIN}/postgres --version").split()[2]
        return {"name": "postgres", "version": version, "ops": ["put", "delete", "scan", "txn"]}

    def open(self, request):
        cluster = os.path.join(request["dir"], "cluster")
        if request.get("create"):
            os.mkdir(cluster)
            shutil.chown(cluster, USER.get("user", os.geteuid()))  # PostgreSQL refuses to run as root.
            initdb = [f"{BIN}/initdb", "-k", "-U", "postgres", "-A", "trust", "-D", cluster]
            subprocess.run(initdb, check=True, stdout=sys.stderr, **USER)
        port = socket.create_server(("127.0.0.1", 0)).getsockname()[1]  # a free one
        command = [f"{BIN}/postgres", "-D", cluster, "-h", "127.0.0.1", "-p", str(port), "-k", ""]
        command += [f"--{name}={value}" for name, value in request["config"].items()]
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, **USER)
        while self.server.poll() is None:  # Tornlog's time limit ends a server that never answers.
            try:
                self.db = psycopg2.connect(host="127.0.0.1", port=port, user="postgres")
                break
            except psycopg2.OperationalError:
                time.sleep(0.005)
        else:
            raise psycopg2.OperationalError(f"postgres ended with {self.server.returncode}")
        self.db.autocommit = True  # Each statement is a transaction of its own, except in `with self.db`.
        self.query("CREATE TABLE IF NOT EXISTS map (k TEXT PRIMARY KEY, v TEXT)")

    def close(self, request):
        if self.server:
            self.server.send_signal(signal.SIGINT)  # For PostgreSQL that is a fast and orderly stop.
            self.server.wait()

    def put(self, request):
        self.query("INSERT INTO map VALUES (%(key)s, %(value)s) ON CONFLICT (k) DO UPDATE SET v = %(value)s", request)

    def delete(self, request):
        self.query("DELETE FROM map WHERE k = %(key)s", request)

    def scan(self, request):
        reply(request, items=self.query("SELECT k, v FROM map"))

    def txn(self, request):
        with self.db:  # BEGIN; then COMMIT, or ROLLBACK after an exception
            for step in request["do"]:
                self.put(step) if step["op"] == "put" else self.delete(step)

    def query(self, statement, values=None):
        cursor = self.db.cursor()
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def reply(request, **members):
    print(json.dumps({"id": request["id"], **members}), flush=True)


driver = Driver()
for line in sys.stdin:
    request = json.loads(line)
    try:
        reply(request, ok=True, **(getattr(driver, request["op"])(request) or {}))
    except Exception as error:
        # The program's own failure, in its words; or the driver's, which says nothing about the program.
        reply(request, ok=False, outcome="unknown" if isinstance(error, psycopg2.Error) else "driver", error=str(error))
driver.close({})  # Standard input has ended: nothing is left running.
