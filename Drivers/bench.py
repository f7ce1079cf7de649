#!/usr/bin/env python3
"""Runs the table of engines: each configuration is tested, its exposure is measured, and what is found is shown again.

    python3 Drivers/bench.py [--quick] [--within MINUTES] [--again] [ENGINE ...]

What comes of a cell is a file in .build/engines/results; Drivers/report.py makes a page of them at the end. A cell that
has a result is left out, so that a run which was interrupted goes on where it was; `--again` runs it anew. `--quick`
takes one configuration of each engine, for a few seconds, and shows nothing again.

The run is over after `--within` minutes (175, quick: 9), however busy the machine is: what a cell does not need the
others get, a cell that takes too long is stopped, and what was not reached is named. Short cells come first.

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
from ended import Ended, version
from table import FOLDER, OUT, ROOT, cells, scenario_path

STATES = os.path.join(OUT, "states")
# Seconds of a cell beside its search, where nothing says otherwise: shrinking, the measurement, three runs of findings.
BESIDE, BESIDE_QUICK = 25, 5
# Minutes of a run. Under three hours, and under ten minutes, with what comes before and after it.
WHOLE, QUICK = 175, 9
# A cell is stopped after so many times its share of the run, and a run ends so many seconds before its time.
PATIENCE, ENDING = 2.5, 15
NOT_REACHED = "not reached: the time of the run was over"
# So many findings of a cell are shown again, and none is begun after so many seconds.
MOST_FINDINGS, SHOWING = 3, 240


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * (60 if unit == "m" else 1)


def budget(engine):
    options = engine.get("test", [])
    return seconds(options[options.index("--budget") + 1]) if "--budget" in options else 30


class Clock:
    """The time that something has."""

    def __init__(self, seconds):
        self.until = time.monotonic() + seconds

    @property
    def left(self):
        return max(0.0, self.until - time.monotonic())


def test(tornlog, name, engine, limit, options, clock):
    """What `tornlog test` says of the cell: its entry in the JSON report."""
    with tempfile.TemporaryDirectory(prefix="tornlog-bench-") as place:
        report = os.path.join(place, "report.json")
        ended = Ended([tornlog, "test", "-t", "full", "--budget", f"{limit:.0f}s", *options, "--report",
                       f"json={report}", scenario_path(name, engine)], clock.left)
        if not os.path.exists(report):
            return {"verdict": "unknown", "failure": f"tornlog test ended with {ended.code}: {ended.last_words}"}
        with open(report) as file:
            programs = json.load(file)["programs"]
        if not programs:
            return {"verdict": "unknown", "failure": "stopped: its share of the time was over"}
        return programs[0] | {"stopped": ended.was_late}


def audit(tornlog, engine, configuration, clock):
    """How long acknowledged work was exposed, and requests a second of one caller, both on a volume."""
    with tempfile.TemporaryDirectory(prefix="tornlog-bench-") as place:
        report, folder = os.path.join(place, "report.json"), os.path.join(place, "folder")
        os.mkdir(folder)
        os.chmod(place, 0o755)
        ended = Ended([tornlog, "audit", "--ack-pattern", "^acknowledged", "--folder", folder, "--budget", "1s",
                       "--report", f"json={report}", "--", sys.executable, os.path.join(FOLDER, "measure.py"),
                       engine["name"], configuration["name"]], min(240, clock.left))
        if ended.was_late:
            return {"failure": "stopped: its share of the time was over"}
        if not os.path.exists(report):
            return {"failure": f"tornlog audit ended with {ended.code}: {ended.last_words}"}
        with open(report) as file:
            result = json.load(file)["audit"]
        if not result["succeeded"]:
            return {"failure": " ".join(result["lastWords"][-2:])}
        figures = dict(re.findall(r"(rate|throughput) ([\d.]+)", ended.err + ended.out))
        return {**result["exposure"], **{key: float(value) for key, value in figures.items()}}


def show_again(tornlog, name, number, engine, configuration, finding, clock):
    """Three runs of a finding's token, and the bare engine on the files of the first."""
    token = finding["reproduce"].split()[-1]
    state = os.path.join(STATES, f"{name}-{number}")
    os.makedirs(STATES, exist_ok=True)
    result = {"runs": [], "state": os.path.relpath(state, ROOT)}
    said = None
    for _ in range(3):
        if said is None:
            shutil.rmtree(state, ignore_errors=True)
        ended = Ended([tornlog, "reproduce", token, *([] if said else ["--export", state])], min(240, clock.left))
        if ended.was_late:
            result["stopped"] = True
            return result
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
                  min(240, clock.left))
    try:
        result["bare"] = json.loads(ended.out)
    except ValueError:
        result["bare"] = {"agrees": None, "says": f"not read: {ended.last_words}"}
    return result


def run(tornlog, name, engine, configuration, limit, clock, arguments):
    """Tests a cell, with so many seconds for its search. All of it ends with the clock."""
    began = time.monotonic()
    result = {"cell": name, "engine": engine["name"], "configuration": configuration["name"],
              "date": time.strftime("%Y-%m-%d"), "budget": round(limit), "quick": arguments.quick}
    found = version(engine)
    if found is None:
        result["test"] = {"verdict": "unknown", "failure": "its version cannot be asked for; is it installed?"}
    else:
        result["version"] = found
        options = ["--kills", "2", "--faults", "4"] if arguments.quick else []
        result["test"] = test(tornlog, name, engine, limit, options, clock)
        if not arguments.quick:
            result["audit"] = audit(tornlog, engine, configuration, clock)
            findings = result["test"].get("program", {}).get("findings", [])
            shown = [finding for finding in findings if finding["repeats"] and "reproduce" in finding]
            until = time.monotonic() + SHOWING
            for number, finding in enumerate(shown[:MOST_FINDINGS]):
                if time.monotonic() > until or clock.left < 5:
                    break
                finding["again"] = show_again(tornlog, name, number, engine, configuration, finding, clock)
    result["seconds"] = round(time.monotonic() - began, 1)
    return result


def line(result):
    test = result["test"]
    if "failure" in test:
        return f"unknown: {test['failure']}"
    program = test["program"]
    text = f"{test['verdict']}, {program['statesOpened']} states"
    if test.get("stopped"):
        text += ", stopped"
    if program["findings"]:
        text += ", " + ", ".join(sorted({finding["check"] for finding in program["findings"]}))
    return text


def quick(chosen):
    """One cell of each engine: the first that its documentation recommends, else the first."""
    first = {}
    for cell in chosen:
        if cell[1]["name"] not in first or cell[2].get("durable") and not first[cell[1]["name"]][2].get("durable"):
            first[cell[1]["name"]] = cell
    return list(first.values())


def store(path, result):
    with open(path + ".new", "w") as file:
        json.dump(result, file, indent=1)
    os.rename(path + ".new", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one configuration of each engine, for a few seconds")
    parser.add_argument("--within", type=float, metavar="MINUTES",
                        help=f"be done after this time (default: {WHOLE}, quick: {QUICK})")
    parser.add_argument("--again", action="store_true", help="run cells anew that have a result")
    parser.add_argument("--results", help="keep results in this folder")
    parser.add_argument("--tornlog", default=os.path.join(ROOT, ".build", "release", "tornlog"))
    parser.add_argument("names", nargs="*", metavar="ENGINE")
    arguments = parser.parse_args()
    chosen = quick(cells(arguments.names)) if arguments.quick else cells(arguments.names)
    results = arguments.results or os.path.join(OUT, "quick" if arguments.quick else "results")
    if arguments.quick:
        shutil.rmtree(results, ignore_errors=True)
    os.makedirs(results, exist_ok=True)
    # In the background of a shell Ctrl-C is ignored, and those that it starts would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def path(name):
        return os.path.join(results, name + ".json")

    left = [cell for cell in chosen if arguments.again or not os.path.exists(path(cell[0]))]
    left.sort(key=lambda cell: budget(cell[1]))
    beside = BESIDE_QUICK if arguments.quick else BESIDE
    clock = Clock((arguments.within or (QUICK if arguments.quick else WHOLE)) * 60 - ENDING)
    wanted = {name: budget(engine) for name, engine, _ in left}
    # Without --within nobody searches longer than the table says.
    most = 0.2 if arguments.quick else 1.0 if not arguments.within else float("inf")
    scale = min(most, max(0.05, (clock.left - beside * len(left)) / max(1, sum(wanted.values()))))
    weights = {name: wanted[name] * scale + beside for name, _, _ in left}
    print(f"{len(left)} cells of {len(chosen)}, about {min(clock.left, sum(weights.values())) / 60:.0f} minutes",
          flush=True)
    missed = []
    for number, (name, engine, configuration) in enumerate(left, 1):
        share = clock.left * weights[name] / sum(weights[other] for other, _, _ in left[number - 1:])
        if not arguments.within:
            share = min(share, weights[name])
        if clock.left < 5:
            missed.append(name)
            if arguments.quick:
                store(path(name), {
                    "cell": name, "engine": engine["name"], "configuration": configuration["name"], "seconds": 0,
                    "date": time.strftime("%Y-%m-%d"), "budget": 0, "quick": True,
                    "test": {"verdict": "unknown", "failure": NOT_REACHED}})
            continue
        limit = max(3, share * (1 - beside / weights[name]))
        result = run(arguments.tornlog, name, engine, configuration, limit,
                     Clock(min(clock.left, max(PATIENCE * share, 20))), arguments)
        store(path(name), result)
        rest = min(clock.left, sum(weights[other] for other, _, _ in left[number:]))
        print(f"[{number}/{len(left)}, {rest / 60:.0f} min left] {name} {result.get('version', '')}: {line(result)}"
              f" ({result['seconds']:.0f} s)", flush=True)
    if missed:
        print(f"{len(missed)} cells were not reached, and nothing is known of them: {', '.join(missed)}", flush=True)
    subprocess.run([sys.executable, os.path.join(FOLDER, "report.py"), "--results", results], check=True)


main()
