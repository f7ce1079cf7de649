#!/usr/bin/env python3
"""Runs the table of engines: each configuration is tested, its exposure is measured, and what is found is shown again.

    python3 Drivers/bench.py [--quick] [--within MINUTES] [--again] [ENGINE ...]

What comes of a cell is a file in .build/engines/results; Drivers/report.py makes a page of them at the end. A cell that
has a result is left out, so that a run which was interrupted goes on where it was; `--again` runs it anew. `--quick`
takes one configuration of each engine, for a few seconds, and shows nothing again. `--within` divides that many minutes
among the cells.

Of each finding the token is run three times, each in a new process. The files of the first time are exported, and the
bare engine opens them (Drivers/bare.py).
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from table import FOLDER, OUT, ROOT, cells, command, scenario_path

STATES = os.path.join(OUT, "states")
# Seconds of a cell beside its search: kills, faults, shrinking, the measurement, and three runs of a finding.
BESIDE = 25
# So many findings of a cell are shown again, and none is begun after so many seconds.
MOST_FINDINGS, SHOWING = 3, 240


class Ended:
    """A process that has ended, or was ended at its time limit."""

    def __init__(self, words, limit):
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, encoding="utf-8", errors="replace", cwd=ROOT,
                                        start_new_session=True)
        self.was_late = False
        try:
            self.out, self.err = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.was_late = True
            # As Ctrl-C: it writes what it has, and takes its mounts away.
            self.out, self.err = self.stop(signal.SIGINT, 60) or self.stop(signal.SIGKILL, None)
        except KeyboardInterrupt:
            self.stop(signal.SIGINT, 30) or self.stop(signal.SIGKILL, None)
            raise
        self.code = self.process.returncode

    def stop(self, number, limit):
        try:
            os.killpg(self.process.pid, number)
            return self.process.communicate(timeout=limit)
        except ProcessLookupError:
            return self.process.communicate()
        except subprocess.TimeoutExpired:
            return None

    @property
    def last_words(self):
        return " ".join((self.err or self.out).strip().splitlines()[-2:])[-400:]


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * (60 if unit == "m" else 1)


def budget(engine):
    options = engine.get("test", [])
    return seconds(options[options.index("--budget") + 1]) if "--budget" in options else 30


def version(engine):
    ended = Ended(command(engine["version"]), 60)
    found = re.search(r"\d+(\.\d+)+\S*", ended.out + ended.err)
    return found[0].rstrip(",") if found and ended.code == 0 else None


def test(tornlog, name, engine, limit, options):
    """What `tornlog test` says of the cell: its entry in the JSON report."""
    with tempfile.TemporaryDirectory(prefix="tornlog-bench-") as place:
        report = os.path.join(place, "report.json")
        ended = Ended([tornlog, "test", "-t", "full", "--budget", f"{limit:.0f}s", *options, "--report",
                       f"json={report}", scenario_path(name, engine)], 4 * limit + 240)
        if not os.path.exists(report):
            return {"verdict": "unknown", "failure": f"tornlog test ended with {ended.code}: {ended.last_words}"}
        with open(report) as file:
            programs = json.load(file)["programs"]
        if not programs:
            return {"verdict": "unknown", "failure": f"not done within {4 * limit + 240:.0f} s"}
        return programs[0]


def audit(tornlog, engine, configuration):
    """How long acknowledged work was exposed, and requests a second of one caller, both on a volume."""
    with tempfile.TemporaryDirectory(prefix="tornlog-bench-") as place:
        report, folder = os.path.join(place, "report.json"), os.path.join(place, "folder")
        os.mkdir(folder)
        os.chmod(place, 0o755)
        ended = Ended([tornlog, "audit", "--ack-pattern", "^acknowledged", "--folder", folder, "--budget", "1s",
                       "--report", f"json={report}", "--", sys.executable, os.path.join(FOLDER, "measure.py"),
                       engine["name"], configuration["name"]], 240)
        if not os.path.exists(report):
            return {"failure": f"tornlog audit ended with {ended.code}: {ended.last_words}"}
        with open(report) as file:
            result = json.load(file)["audit"]
        if not result["succeeded"]:
            return {"failure": " ".join(result["lastWords"][-2:])}
        figures = dict(re.findall(r"(rate|throughput) ([\d.]+)", ended.err + ended.out))
        return {**result["exposure"], **{key: float(value) for key, value in figures.items()}}


def show_again(tornlog, name, number, engine, configuration, finding):
    """Three runs of a finding's token, and the bare engine on the files of the first."""
    token = finding["reproduce"].split()[-1]
    state = os.path.join(STATES, f"{name}-{number}")
    os.makedirs(STATES, exist_ok=True)
    result = {"runs": [], "state": os.path.relpath(state, ROOT)}
    said = None
    for _ in range(3):
        if said is None:
            shutil.rmtree(state, ignore_errors=True)
        ended = Ended([tornlog, "reproduce", token, *([] if said else ["--export", state])], 240)
        # Exit code 1 alone says that a promise was broken again.
        result["runs"].append({"code": ended.code,
                               "said": ended.out.strip().splitlines()[0][:300] if ended.out else ended.last_words})
        if said is None and ended.code == 1:
            broken = re.findall(r"^violated: (\S+: .*)$", ended.out, re.M)
            said = next((words for words in broken if words.startswith(finding["check"] + ":")), broken[0])
            result["another"] = "did other things to its files" in ended.out
    if said is None or not os.path.isdir(state):
        return result
    if "second life" in finding["cause"]:
        result["bare"] = {"agrees": None, "says": "not tried: the promise is broken in a second life of these files"}
        return result
    ended = Ended([sys.executable, os.path.join(FOLDER, "bare.py"), engine["name"], configuration["name"], state, said],
                  240)
    try:
        result["bare"] = json.loads(ended.out)
    except ValueError:
        result["bare"] = {"agrees": None, "says": f"not read: {ended.last_words}"}
    return result


def run(tornlog, name, engine, configuration, limit, arguments):
    began = time.monotonic()
    result = {"cell": name, "engine": engine["name"], "configuration": configuration["name"],
              "date": time.strftime("%Y-%m-%d"), "budget": round(limit), "quick": arguments.quick}
    found = version(engine)
    if found is None:
        result["test"] = {"verdict": "unknown", "failure": "its version cannot be asked for; is it installed?"}
    else:
        result["version"] = found
        options = ["--kills", "2", "--faults", "4"] if arguments.quick else []
        result["test"] = test(tornlog, name, engine, limit, options)
        if not arguments.quick:
            result["audit"] = audit(tornlog, engine, configuration)
            findings = result["test"].get("program", {}).get("findings", [])
            shown = [finding for finding in findings if finding["repeats"] and "reproduce" in finding]
            until = time.monotonic() + SHOWING
            for number, finding in enumerate(shown[:MOST_FINDINGS]):
                if time.monotonic() > until:
                    break
                finding["again"] = show_again(tornlog, name, number, engine, configuration, finding)
    result["seconds"] = round(time.monotonic() - began, 1)
    return result


def line(result):
    test = result["test"]
    if "failure" in test:
        return f"unknown: {test['failure']}"
    program = test["program"]
    text = f"{test['verdict']}, {program['statesOpened']} states"
    if program["findings"]:
        text += ", " + ", ".join(sorted({finding["check"] for finding in program["findings"]}))
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one configuration of each engine, for a few seconds")
    parser.add_argument("--within", type=float, metavar="MINUTES", help="divide this time among the cells")
    parser.add_argument("--again", action="store_true", help="run cells anew that have a result")
    parser.add_argument("--tornlog", default=os.path.join(ROOT, ".build", "release", "tornlog"))
    parser.add_argument("names", nargs="*", metavar="ENGINE")
    arguments = parser.parse_args()
    chosen = cells(arguments.names)
    if arguments.quick:
        first = {}
        for cell in chosen:
            if cell[1]["name"] not in first or cell[2].get("durable") and not first[cell[1]["name"]][2].get("durable"):
                first[cell[1]["name"]] = cell
        chosen = list(first.values())
    results = os.path.join(OUT, "quick" if arguments.quick else "results")
    os.makedirs(results, exist_ok=True)
    # In the background of a shell Ctrl-C is ignored, and those that it starts would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def path(name):
        return os.path.join(results, name + ".json")

    left = [cell for cell in chosen if arguments.again or arguments.quick or not os.path.exists(path(cell[0]))]
    whole = sum(budget(engine) for _, engine, _ in left)
    scale = 0.2 if arguments.quick else 1.0
    if arguments.within and left:
        scale = max(0.05, (arguments.within * 60 - BESIDE * len(left)) / whole)
    beside = 5 if arguments.quick else BESIDE
    expected = {name: budget(engine) * scale + beside for name, engine, _ in left}
    print(f"{len(left)} cells of {len(chosen)}, about {sum(expected.values()) / 60:.0f} minutes", flush=True)
    began, done = time.monotonic(), 0.0
    for number, (name, engine, configuration) in enumerate(left, 1):
        result = run(arguments.tornlog, name, engine, configuration, max(3, budget(engine) * scale), arguments)
        with open(path(name) + ".new", "w") as file:
            json.dump(result, file, indent=1)
        os.rename(path(name) + ".new", path(name))
        done += expected[name]
        pace = (time.monotonic() - began) / done
        rest = pace * (sum(expected.values()) - done) / 60
        print(f"[{number}/{len(left)}, {rest:.0f} min left] {name} {result.get('version', '')}: {line(result)}"
              f" ({result['seconds']:.0f} s)", flush=True)
    subprocess.run([sys.executable, os.path.join(FOLDER, "report.py"), "--results", results], check=True)


main()
