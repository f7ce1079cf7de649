#!/usr/bin/env python3
"""Makes a page of what Drivers/bench.py has found: Reports/real-engines.md, and .build/engines/real-engines.html.

    python3 Drivers/report.py [--results FOLDER] [--out FILE.md]

It reads the results, engines.yaml (what is promised, and where) and findings.yaml (what is known upstream, and what an
operator should set). Where cells have no result, or a quick one, the page goes to .build/engines and not to Reports.
"""

import argparse
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import controls
from page import Page
from table import FOLDER, OUT, ROOT, cells, engines

# Which file systems permit a state, by the weakest profile that does (docs/crash-profiles.md).
PERMITS = {
    "raw-4k": "any disk with a volatile cache permits this state, with ext4, xfs, btrfs and without a file system",
    "raw-512": "any disk with a volatile cache permits this state that writes sectors of 512 bytes",
    "raw-512-eio": "a drive permits this state that leaves a sector unreadable",
    "btrfs": "btrfs permits this state",
    "xfs": "xfs permits this state",
    "ext4-ordered": "ext4 permits this state as it is mounted by default",
    "ext4-writeback": "ext4 permits this state with data=writeback, and not by default",
    "posix-minimal": "the letter of POSIX permits this state, and none of ext4, xfs and btrfs",
    "posix-minimal-eio": "the letter of POSIX permits this state, and none of ext4, xfs and btrfs",
}
CHECKS = {
    "no-acknowledged-loss": "acknowledged work is lost", "no-phantom": "something is served that nobody wrote",
    "content-intact": "a damaged value is served", "no-duplicates": "a record is served twice",
    "order-kept": "the order of records is not kept", "positions-kept": "records are not where they were said to be",
    "no-gaps": "earlier work is lost while later work is there",
    "transactions-whole": "a part of a transaction is served", "no-resurrection": "deleted or taken work comes back",
    "opens": "it does not open", "opens-in-time": "it hangs", "reads": "it opens and does not read",
    "own-check-agrees": "its own check complains",
}


def load(folder):
    results = {}
    if os.path.isdir(folder):
        for name in os.listdir(folder):
            if name.endswith(".json"):
                with open(os.path.join(folder, name)) as file:
                    result = json.load(file)
                results[result["cell"]] = result
    return results


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def milliseconds(value):
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"


def permits(cause):
    if cause == "orderly restart":
        return "no crash is needed"
    profile = re.split(r"[,\s]", cause)[0]
    if profile in PERMITS:
        return PERMITS[profile]
    return "no power cut is needed: the program is killed, or an operation fails"


class Finding:
    """One promise that is broken in one way, in one or more configurations of an engine."""

    def __init__(self, engine, configuration, result, finding):
        self.engine, self.finding, self.result = engine, finding, result
        self.configuration, self.configurations = configuration, [configuration]
        # With the shape of what stands in it, and not its names: `v17` and `v34` are one.
        self.key = (engine["name"], finding["check"], self.shape(finding["cause"]))
        self.note = {}

    @staticmethod
    def shape(cause):
        return re.split(r" (?:at|of|in|on) ", cause)[0]

    @property
    def profile(self):
        return re.split(r"[,\s]", self.finding["cause"])[0]

    @property
    def is_letter(self):
        """Whether nothing but the letter of POSIX permits it."""
        return self.profile.startswith("posix-minimal")

    @property
    def is_shown(self):
        """Whether its token breaks a promise each time, and the bare engine does not disagree; None: not tried."""
        again = self.finding.get("again", {})
        if not again.get("runs"):
            return None
        return all(run["code"] == 1 for run in again["runs"]) and again.get("bare", {}).get("agrees") is not False

    @property
    def is_creation(self):
        story = self.finding["story"]
        # A story that was cut says nothing of what came before.
        return not story[0].startswith("...") and not any(
            "ACK" in line.replace("ACK open", "") for line in story)

    @property
    def standing(self):
        return self.note.get("standing", "not compared with public reports yet")

    @property
    def accusation(self):
        """Whether the documentation promises what was lost, in one sentence."""
        if "promised" in self.note:
            return self.note["promised"]
        promise, check = self.configuration["promise"], self.finding["check"]
        if self.is_letter:
            return "No accusation: no file system in use permits it."
        if self.is_creation:
            return "Nothing but its creation had been acknowledged. The documentation says nothing of that moment."
        if check in ("no-acknowledged-loss", "no-gaps"):
            return f"The documentation promises it: {self.configuration['says']} ({self.configuration['source']})."
        if promise == "nothing":
            return ("No accusation of loss: the documentation promises nothing of acknowledged writes here. It does "
                    "not say either that this may happen.")
        return "The documentation does not say that this may happen."


def collect(results, notes):
    found = {}
    flaky = []
    for name, engine, configuration in cells():
        for finding in results.get(name, {}).get("test", {}).get("program", {}).get("findings", []):
            one = Finding(engine, configuration, results[name], finding)
            if not finding["repeats"]:
                flaky.append(one)
            elif one.key in found:
                found[one.key].configurations.append(configuration)
                if "again" not in found[one.key].finding and "again" in finding:
                    one.configurations = found[one.key].configurations
                    found[one.key] = one
            else:
                found[one.key] = one
    for one in found.values():
        text = " ".join([one.finding["check"], one.finding["cause"], one.finding["detail"], *one.finding["story"]])
        for note in notes:
            if note["engine"] == one.engine["name"] and re.search(note.get("match", ""), text, re.S):
                one.note = note
                break
    return list(found.values()), flaky


def verdict(test):
    if "failure" in test:
        return f"unknown: {test['failure'][:160]}"
    program = test["program"]
    repeated = [finding for finding in program["findings"] if finding["repeats"]]
    if test["verdict"] == "violated":
        real = {finding["check"] for finding in repeated if not finding["cause"].startswith("posix-minimal")}
        letter = {finding["check"] for finding in repeated} - real
        return "; ".join(([f"violated: {', '.join(sorted(real))}"] if real else [])
                         + ([f"by the letter of POSIX only: {', '.join(sorted(letter))}"] if letter else []))
    if test["verdict"] == "unknown":
        reasons = sorted(program["unknowns"].items(), key=lambda item: -item[1])
        if test.get("stopped"):
            reasons.insert(0, ("stopped, for its share of the time was over", 0))
        flaky = ["what was found does not repeat"] if program["findings"] else []
        return "unknown: " + "; ".join(flaky + [reason[:120] for reason, _ in reasons[:1]])
    return "held"


def profiles(program):
    held = [profile["profile"] for profile in program["profiles"]
            if profile["statesVisited"] and not profile["violations"]]
    broken = [profile["profile"] for profile in program["profiles"] if profile["violations"]]
    missed = [profile["profile"] for profile in program["profiles"]
              if not profile["statesVisited"] and profile["moments"]]
    parts = [f"broken in {', '.join(broken)}"] if broken else []
    parts += [f"held in {', '.join(held)}"] if held else []
    return "; ".join(parts + ([f"not reached: {', '.join(missed)}"] if missed else []))


def states(program):
    return program["statesOpened"] + program["statesInRecoveries"] + program["statesAfterRuns"]


def write_table(page, results):
    page.heading("The table")
    page.paragraph(
        "A row is a configuration. `durable`: its documentation recommends it where nothing may be lost. `default`: "
        "what it does where nobody says anything. States: crash states that were opened and compared with what had "
        "been acknowledged. `killed` is a kill without a power cut.")
    checked = [configuration for _, _, configuration in cells() if "checked" in configuration]
    page.paragraph(
        f"Of {len(cells())} promises {len(checked)} were compared with the words of the source: the last column says "
        "in which copy of it they were read.")
    rows = []
    for name, engine, configuration in cells():
        result = results.get(name)
        kind = ", ".join(word for word in ("default", "durable", "control") if configuration.get(word))
        read = f"; read in {configuration['checked']}" if "checked" in configuration else "; not compared"
        promise = f"{configuration['promise']}: {configuration['says']} ({configuration['source']}{read})"
        title = configuration["name"] + (f" ({kind})" if kind else "")
        if result is None:
            rows.append([engine["engine"], "", title, "not run", 0, "", "", promise])
            continue
        program = result["test"].get("program")
        rows.append([
            engine["engine"], result.get("version", "?"), title, verdict(result["test"]),
            states(program) if program else 0, duration(result["seconds"]), profiles(program) if program else "",
            promise])
    head = ["engine", "version", "configuration", "verdict", "states", "time", "profiles", "promise, as documented"]
    page.table(head, rows, numeric={4, 5})


def write_finding(page, number, one):
    finding, note = one.finding, one.note
    name = one.result["cell"]
    page.heading(f"{number}. {one.engine['engine']} {one.result.get('version', '')}: "
                 f"{note.get('title', CHECKS.get(finding['check'], finding['check']))}", 3)
    runs = finding.get("again", {}).get("runs", [])
    again = sum(run["code"] == 1 for run in runs)
    bare = finding.get("again", {}).get("bare")
    facts = [
        f"Configurations: {label(one)[1]}",
        f"What was lost: {finding['detail']} (`{finding['check']}`)",
        f"Weakest cause: {finding['cause']}: {permits(finding['cause'])}",
        one.accusation,
        f"Standing: {one.standing}" + (f". {note['source']}" if "source" in note else ""),
    ]
    if "advice" in note:
        facts.append(f"What to set: {note['advice']}")
    if runs:
        another = " (the program did other things to its files, and another state was found)" \
            if finding["again"].get("another") else ""
        facts.append(f"Again from its token, in new processes: {again} of {len(runs)}{another}")
    else:
        facts.append("Again from its token: not tried")
    if bare:
        agrees = {True: "shows the same", False: "does not show it", None: "not compared"}[bare["agrees"]]
        facts.append(f"Bare engine on the exported files, no Tornlog in the process: {agrees}. It {bare['says']}"
                     if bare["agrees"] is not None else f"Bare engine on the exported files: {bare['says']}")
    page.list(facts)
    page.code(finding["story"][:12])
    if "reproduce" in finding:
        said = f"{finding['check']}: {finding['detail']}".replace("'", "'\\''")
        page.command("Show it again", [
            f"{finding['reproduce']} --export /tmp/{name}",
            f"python3 Drivers/bare.py {one.engine['name']} {one.configuration['name']} /tmp/{name} '{said}'"])


def write_findings(page, found, flaky):
    number = 0
    for one in found:
        if not one.is_letter and one.is_shown is not False:
            number += 1
            write_finding(page, number, one)
    if doubted := [one for one in found if not one.is_letter and one.is_shown is False]:
        page.heading("Seen once, and not confirmed")
        page.paragraph(
            "Their tokens do not break the promise three times of three, or the bare engine does not show it. They are "
            "no findings. A program that does other things to its files each time is one reason, Tornlog is another.")
        page.table(["engine", "configurations", "what", "again", "bare engine"], [
            [*label(one), f"{one.finding['check']} ({one.finding['cause']}): {one.finding['detail'][:160]}",
             again(one.finding), one.finding["again"].get("bare", {}).get("says", "not tried")[:160]]
            for one in doubted])
    if letter := [one for one in found if one.is_letter]:
        page.heading("By the letter of POSIX only")
        page.paragraph("No file system in use permits these. Mostly the name of a new file is never made durable: its "
                       "directory is not synced.")
        page.table(["engine", "configurations", "what", "again"], [
            [*label(one), f"{one.finding['check']}: {one.finding['detail'][:160]}", again(one.finding)]
            for one in letter])
    if flaky:
        page.heading("Found, and not seen again")
        page.paragraph("They did not happen in three more tries, and are no findings.")
        page.table(["engine", "configuration", "what"], [
            [one.engine["engine"], one.configuration["name"],
             f"{one.finding['check']} ({one.finding['cause']}): {one.finding['detail'][:160]}"] for one in flaky])


def label(one):
    """The engine, and the configurations."""
    return one.engine["engine"], ", ".join(dict.fromkeys(each["name"] for each in one.configurations))


def again(finding):
    runs = finding.get("again", {}).get("runs", [])
    return f"{sum(run['code'] == 1 for run in runs)} of {len(runs)}" if runs else "not tried"


def write_own_checks(page, found, results):
    page.heading("The engines' own checks")
    page.paragraph(
        "Where an engine has a check of its files, it is asked on every state that opens (`own-check-agrees`). Of each "
        "finding this is what it says on the exported files, beside what is served of them.")
    rows = []
    for one in found:
        bare = one.finding.get("again", {}).get("bare") or {}
        if bare.get("check"):
            rows.append([one.engine["engine"], one.configuration["name"], one.finding["check"],
                         one.finding["detail"][:120], bare["check"][:160]])
    page.table(["engine", "configuration", "our word", "", "its own word"], rows)
    silent = sum(row[2] != "own-check-agrees" and row[4] == "ok" for row in rows)
    if rows:
        page.paragraph(
            f"In {silent} of {len(rows)} its own check finds nothing, though acknowledged work is missing or changed. "
            "It looks at the structure of files, and does not know what was acknowledged.")


def write_audit(page, results):
    page.heading("Exposure beside throughput")
    page.paragraph(
        "One caller writes 200 requests a second for four seconds, pauses, and then writes for two seconds without a "
        "pause, on a volume in memory (`Drivers/measure.py` under `tornlog audit`). Exposed: acknowledged, while a "
        "file holds bytes that were written before that and are not synced. Recovery may not need these bytes, "
        "such as pages of a database whose changes are in its log: a few exposed of many say that. Median, p99 and "
        "longest are of those exposed, `at a time` is the most at the same moment, and `never` counts what nothing had "
        "synced when the run ended.")
    page.paragraph(
        "`(in its memory)`: it acknowledges what it has not written yet. That is lost in a crash, and no trace of file "
        "operations shows it. The volume's sync costs next to nothing; on a disk each sync adds what that disk needs. "
        "The machine was busy: compare rows, and not with other machines.")
    rows = []
    for name, engine, configuration in cells():
        audit = results.get(name, {}).get("audit")
        if audit is None:
            continue
        if "failure" in audit:
            rows.append([engine["engine"], configuration["name"], configuration["promise"], "", "", "", "", "", "", "",
                         f"not measured: {audit['failure'][:120]}"])
            continue
        exposed = audit["acknowledgements"] - audit["atOnce"] - audit["never"]
        at_once = "(in its memory)" if configuration.get("in-memory") else audit["atOnce"]
        times = [milliseconds(audit[key]) if exposed else "0" for key in ("median", "p99", "longest")]
        rows.append([engine["engine"], configuration["name"], configuration["promise"], audit["acknowledgements"],
                     at_once, exposed, audit["never"], *times, audit.get("together", ""),
                     f"{audit.get('throughput', 0):.0f}/s"])
    page.table(["engine", "configuration", "promise", "acknowledged", "durable at once", "exposed", "never", "median",
                "p99", "longest", "at a time", "throughput"], rows, numeric={3, 4, 5, 6, 7, 8, 9, 10, 11})


def write_controls(page, results, notes):
    page.heading("Negative controls")
    rows, names, seconds, accused, table_states = [], [], 0.0, [], 0
    for name, engine, configuration in cells():
        if not configuration.get("control"):
            continue
        runs = controls.load(name)
        result = results.get(name)
        program = result["test"].get("program") if result else None
        count = states(program) if program else 0
        table_states += count
        in_table = [finding for finding in program["findings"] if finding["repeats"]] if program else []
        if controls.accusations(runs + [{"findings": in_table}]):
            accused.append(name)
        else:
            names.append(name)
            seconds += sum(run["seconds"] for run in runs)
        said = ", ".join(f"{sum(run['verdict'] == word for run in runs)} {word}"
                         for word in ("held", "violated", "unknown") if any(run["verdict"] == word for run in runs))
        rows.append([
            engine["engine"],
            ", ".join(sorted({run["version"] or "?" for run in runs})) or (result or {}).get("version", ""),
            configuration["name"], controls.distinct([name]), len(runs), said,
            duration(sum(run["seconds"] for run in runs)), count, verdict(result["test"]) if result else "not run"])
    total = controls.distinct(names)
    page.paragraph(
        "Configurations that promise everything, and are known as sound. "
        f"{total:,} different states of {sum(row[3] > 0 for row in rows) - len(accused)} of these {len(rows)} were "
        "opened without an accusation under a profile of a disk or a file system. The aim was 1,000,000."
        + (f" Accused, and not counted in that: {', '.join(accused)}; see below." if accused else ""))
    if seconds:
        page.paragraph(
            f"`python3 Drivers/controls.py` adds to them: each run sends another workload to one configuration, under "
            f"{', '.join(controls.PROFILES)}. A state is counted once, by a hash of the names and contents of all its "
            f"files. {duration(seconds)} of work at low priority on a busy machine made {total / seconds * 3600:,.0f} "
            f"states an hour, so that a million takes {1e6 / total * seconds / 60:.0f} minutes. No kill and no fault "
            f"is in these runs; the table's own runs have them, with {table_states:,} states more.")
    page.table(["engine", "version", "configuration", "different states", "workloads", "their verdicts", "time",
                "states in the table's run", "its verdict"], rows, numeric={3, 4, 6, 7})
    for note in notes:
        page.paragraph(note)


def write_known(page, found):
    # One of each report, and none that only the letter of POSIX permits or that was not confirmed. Where the story of
    # the report was not compared with ours (`same`), the finding is not in the list.
    known = list({one.note["upstream"]: one for one in reversed(found)
                  if "same" in one.note and not one.is_letter and one.is_shown is not False}.values())[::-1]
    page.heading("Known bugs, found again")
    page.paragraph(
        f"{len(known)} public reports of crash-consistency bugs describe what was found here. Each report was read, "
        "and its mechanism compared with the story of the finding: the last column says what both have. The search had "
        "no hint: the workload is the same for every engine, and no scenario names a fault or a moment.")
    page.table(["engine", "version", "found as", "again", "reported as", "the same"], [
        [one.engine["engine"], one.result.get("version", ""), f"{one.finding['check']} ({one.finding['cause']})",
         again(one.finding), one.note["upstream"], one.note["same"]] for one in known])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default=os.path.join(OUT, "results"))
    parser.add_argument("--out", help="where the Markdown goes")
    arguments = parser.parse_args()
    import yaml

    with open(os.path.join(FOLDER, "findings.yaml")) as file:
        known = yaml.safe_load(file)
    results = load(arguments.results)
    if not results:
        sys.exit(f"no results in {arguments.results}: run `make engines` first")
    is_whole = all(name in results and not results[name]["quick"] for name, _, _ in cells())
    out = arguments.out or os.path.join(*[ROOT, "Reports"] if is_whole else [OUT], "real-engines.md")
    html = os.path.join(OUT, "real-engines.html")
    found, flaky = collect(results, known["findings"])
    programs = [result["test"]["program"] for result in results.values() if "program" in result["test"]]
    page = Page("Real engines")
    dates = sorted({result["date"] for result in results.values()})
    verdicts = [result["test"]["verdict"] for result in results.values()]
    disturbed = sum(program[kind]["runs"] for program in programs for kind in ("kills", "faults"))
    page.paragraph(
        f"{len({result['engine'] for result in results.values()})} released engines of {len(engines())} in the table, "
        f"unmodified, in {len(results)} configurations of {len(cells())}: {verdicts.count('held')} held, "
        f"{verdicts.count('violated')} violated, {verdicts.count('unknown')} unknown. {sum(map(states, programs)):,} "
        f"crash states were opened, and {disturbed:,} runs had a kill or a failing operation. "
        f"{'Dated ' + dates[0] if len(dates) == 1 else dates[0] + ' to ' + dates[-1]}; "
        f"{sum(result['seconds'] for result in results.values()) / 60:.0f} minutes of work on two shared hyperthreads.")
    shown = [one.finding for one in found if one.finding.get("again", {}).get("runs")]
    thrice = sum([run["code"] for run in finding["again"]["runs"]] == [1, 1, 1] for finding in shown)
    bare = [finding["again"]["bare"]["agrees"] for finding in shown if "bare" in finding["again"]]
    page.paragraph(
        f"{len(found)} findings: {len(shown)} were run again from their tokens, {thrice} of them broke the promise "
        f"three times of three. Of {len(bare)} exported states the bare engine shows the same in {bare.count(True)}, "
        f"something else in {bare.count(False)}, and {bare.count(None)} could not be compared.")
    page.paragraph("Made by `make engines`: Drivers/engines.yaml has the table, `Drivers/bench.py` runs it, and "
                   "`Drivers/report.py` writes this page. Do not edit it.")
    write_table(page, results)
    write_findings(page, found, flaky)
    write_own_checks(page, found, results)
    write_audit(page, results)
    write_controls(page, results, known.get("controls", []))
    write_known(page, found)
    page.heading("What Tornlog got wrong on the way")
    page.table(["accusation", "what was wrong", "the rule now, and its source"], [
        [one["accusation"], one["wrong"], one["rule"]] for one in known["corrections"]])
    page.write(out, html)
    print(f"{os.path.relpath(out)}, {os.path.relpath(html)}: {len(found)} findings")


main()
