#!/usr/bin/env bash
# Runs `swift test` with the arguments given. A failure stands somewhere in thousands of lines: it is shown again at the
# end, and what was skipped is counted there. Ends with the exit code of `swift test`.
set -uo pipefail

log=$(mktemp -d "${TMPDIR:-/tmp}/tornlog-tests-XXXXXX")
modules=
# A process group of its own, so that nothing of it stays where this script is ended.
trap '[ -z "$modules" ] || kill -- "-$modules" 2>/dev/null; rm -rf "$log"' EXIT
trap 'exit 130' INT TERM HUP
# The modules in which tests spend their time are optimised; see Package.swift.
export TORNLOG_OPTIMIZED_TESTS=1
code=0

# Keeps the first exit code that is not 0.
note() { [ "$code" -ne 0 ] || code=$1; }

if [ "$#" -gt 0 ]; then
  swift test "$@" 2>&1 | tee "$log/all"
  note "${PIPESTATUS[0]}"
else
  swift build --build-tests 2>&1 | tee "$log/0-build"
  note "${PIPESTATUS[0]}"
  if [ "$code" -eq 0 ]; then
    # The command line's tests run one after the other and often wait. In one process with the others they began when
    # those were done, so they have a process of their own. Their programs have limits of time: they come first.
    set -m
    nice -n 5 swift test --skip-build --ignore-lock --skip '^CommandLineTests\.' >"$log/1-modules" 2>&1 &
    modules=$!
    set +m
    swift test --skip-build --ignore-lock --filter '^CommandLineTests\.' 2>&1 | tee "$log/2-command-line"
    note "${PIPESTATUS[0]}"
    wait "$modules"
    note $?
    modules=
    cat "$log/1-modules"
    # The example is a package of its own, as a user has it: nothing but TornlogKit is built for it.
    env -u TORNLOG_OPTIMIZED_TESTS swift test --package-path Examples/swift-log-under-test \
      --scratch-path .build/example 2>&1 | tee "$log/3-example"
    note "${PIPESTATUS[0]}"
  fi
fi

skips='^[^ ]+ Test .* (skipped|cancelled)\b'
echo "tests: $(cat "$log"/* | grep -caE "$skips") skipped"
cat "$log"/* | grep -aE "$skips" | head -n 40
if [ "$code" -ne 0 ]; then
  echo "tests: FAILED with exit code $code; what failed, once more:"
  cat "$log"/* | grep -aE -A 2 '^✘ .* recorded an issue|^error: |Fatal error|unexpected signal' \
    | grep -avE '^(◇|✔|--)' | head -n 80
  # Where a process died: the frames of the thread that did it.
  cat "$log"/* | awk '/^Thread / { on = / crashed:/ } on' | grep -aE '^(Thread|  *[0-9]+ )' | cut -c1-300 | head -n 40
fi
exit "$code"
