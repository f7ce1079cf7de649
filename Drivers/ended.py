"""Commands that are run to their end, or to a time limit."""

import os
import re
import signal
import subprocess

from table import ROOT, command


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
            self.out, self.err = self.stop(signal.SIGINT, 60) or self.kill()
        except KeyboardInterrupt:
            self.stop(signal.SIGINT, 30) or self.kill()
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

    def kill(self):
        words = self.stop(signal.SIGKILL, None)
        # Its drivers die with it. Its mounts do not.
        with open("/proc/mounts") as file:
            places = [line.split()[1] for line in file]
        for place in places:
            if f"/tornlog-{self.process.pid}-" in place:
                subprocess.run(["umount", "-l", place])
                os.rmdir(place)
        return words

    @property
    def last_words(self):
        return " ".join((self.err or self.out).strip().splitlines()[-2:])[-400:]


def version(engine):
    ended = Ended(command(engine["version"]), 60)
    found = re.search(r"\d+(\.\d+)+\S*", ended.out + ended.err)
    return found[0].rstrip(",") if found and ended.code == 0 else None
