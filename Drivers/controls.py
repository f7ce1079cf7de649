#!/usr/bin/env python3
"""Looks for an accusation of engines that are known to be sound: every one would be a wrong verdict, or a real bug.

    python3 Drivers/controls.py [--minutes N] [--states N] [ENGINE ...]

It goes on where the last call ended, until that time is over or so many different states were opened in all calls
together. Each run sends another workload (its seed is a number that no run had) to one of the configurations that
engines.yaml calls `control`, in turn. Runs and states are kept in .build/engines/controls: CELL.json, and the hashes of
CELL's states in CELL.states, by which a state that two runs share is counted once. Drivers/report.py has the sum.

Exit codes: 0 without an accusation; 1 with one, whose runs go on to be kept; 130 interrupted.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ended import Ended, version
from table import OUT, ROOT, cells, scenario_path

FOLDER = os.path.join(OUT, "controls")
# All that a disk and a file system may do; and the letter of POSIX, of which report.py accuses nobody.
PROFILES = ("raw-512", "raw-4k", "btrfs", "xfs", "ext4-ordered", "ext4-writeback", "posix-minimal")
# Of a finding.
KEPT = ("check", "cause", "detail", "repeats", "reproduce", "story")
# Seeds of the table's own runs are small.
FIRST_SEED = 1001


def path(name, kind):
    return os.path.join(FOLDER, f"{name}.{kind}")


def load(name):
    """The runs of a cell."""
    if not os.path.exists(path(name, "json")):
        return []
    with open(path(name, "json")) as file:
        return json.load(file)


def distinct(names):
    """How many states differ, of all runs of these cells."""
    seen = set()
    for name in names:
        if os.path.exists(path(name, "states")):
            with open(path(name, "states"), "rb") as file:
                # Bytes that a run had no time to finish are left out.
                seen.update(memoryview(file.read()[:os.path.getsize(path(name, "states")) // 8 * 8]).cast("Q"))
    return len(seen)


def accusations(runs):
    return [finding for run in runs for finding in run["findings"]
            if not finding["cause"].startswith("posix-minimal")]


def run(tornlog, name, engine, seed, seconds):
    """One run: its entry in CELL.json. Nothing is said of what could not be run."""
    with tempfile.TemporaryDirectory(prefix="tornlog-controls-") as place:
        report, states = os.path.join(place, "report.json"), os.path.join(place, "states")
        # The search has half of a test's time, and second lives have 8 parts of 100. There is nothing else.
        words = [tornlog, "test", "-t", "full", "--budget", f"{max(2, seconds / 0.58):.0f}s", "--kills",
                 "0", "--faults", "0", "--seed", str(seed), "--state-hashes", states, "--report", f"json={report}"]
        for profile in PROFILES:
            words += ["--profile", profile]
        began = time.monotonic()
        ended = Ended([*words, scenario_path(name, engine)], 4 * seconds + 240)
        entry = {"seed": seed, "date": time.strftime("%Y-%m-%d"), "version": version(engine),
                 "seconds": round(time.monotonic() - began, 1), "states": 0, "recoveries": 0, "findings": []}
        programs = []
        if os.path.exists(report):
            with open(report) as file:
                programs = json.load(file)["programs"]
        if not programs or "program" not in programs[0]:
            reason = programs[0].get("failure") if programs else ended.last_words
            return entry | {"verdict": "unknown", "failure": reason}
        program = programs[0]["program"]
        with open(states, "rb") as file, open(path(name, "states"), "ab") as all_states:
            all_states.write(file.read())
        return entry | {
            "verdict": programs[0]["verdict"], "states": program["statesOpened"],
            "recoveries": program["statesInRecoveries"],
            "findings": [{key: finding.get(key) for key in KEPT} for finding in program["findings"]]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60, help="go on for this long (default: 60)")
    parser.add_argument("--states", type=int, default=1_000_000, help="or until so many states differ in all")
    parser.add_argument("--turn", type=float, default=60, metavar="SECONDS", help="of one run (default: 60)")
    parser.add_argument("--tornlog", default=os.path.join(ROOT, ".build", "release", "tornlog"))
    parser.add_argument("names", nargs="*", metavar="ENGINE")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    chosen = [(name, engine) for name, engine, configuration in cells(arguments.names) if configuration.get("control")]
    if not chosen:
        sys.exit("none of these has a configuration that engines.yaml calls `control`")
    everything = [name for name, _, configuration in cells() if configuration.get("control")]
    os.makedirs(FOLDER, exist_ok=True)
    until, accused, before = time.monotonic() + arguments.minutes * 60, 0, distinct(everything)
    began, number = time.monotonic(), 0
    print(f"{before:,} states differ in the runs before this", flush=True)
    while (left := until - time.monotonic()) > 5 and (count := distinct(everything)) < arguments.states:
        name, engine = chosen[number % len(chosen)]
        number += 1
        runs = load(name)
        seed = max([one["seed"] for one in runs], default=FIRST_SEED - 1) + 1
        result = run(arguments.tornlog, name, engine, seed, min(arguments.turn, left))
        with open(path(name, "json.new"), "w") as file:
            json.dump(runs + [result], file, indent=1)
        os.rename(path(name, "json.new"), path(name, "json"))
        found = accusations([result])
        accused += len(found)
        count = distinct(everything)
        pace = (count - before) / (time.monotonic() - began) * 3600
        print(f"{name} seed {seed}: {result['verdict']}, {result['states']} states in {result['seconds']:.0f} s; "
              f"{count:,} in all, {pace:,.0f} an hour", flush=True)
        for finding in found:
            print(f"  ACCUSED: {finding['check']} ({finding['cause']}): {finding['detail']}\n"
                  f"  {finding['reproduce']}", flush=True)
        if "failure" in result:
            print(f"  {result['failure']}", flush=True)
    sys.exit(1 if accused else 0)


if __name__ == "__main__":
    main()
