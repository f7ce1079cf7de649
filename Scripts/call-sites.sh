#!/bin/sh
# call-sites.sh TABLE FILE...: writes a Swift file with every `here().OPERATION(` of the source files, one a line, as
# `Module/File.swift LINE OPERATION`. The build calls it (Plugins/CallSiteTable).
set -eu
table=$1
shift
{
  echo '/// Every line of the engine that starts an operation; written by Scripts/call-sites.sh.'
  echo 'enum CallSiteTable {'
  echo '  static let text = """'
  awk '
    FNR == 1 {
      parts = split(FILENAME, part, "/")
      for (i = 1; i < parts; i++) if (part[i] == "Sources") module = part[i + 1]
      name = module "/" part[parts]
    }
    {
      line = $0
      sub(/\/\/.*/, "", line)
      while (match(line, /here\(\)\.[A-Za-z]+\(/)) {
        print "    " name " " FNR " " substr(line, RSTART + 7, RLENGTH - 8)
        line = substr(line, RSTART + RLENGTH)
      }
    }' "$@"
  echo '    """'
  echo '}'
} > "$table"
