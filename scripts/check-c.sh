#!/bin/sh
# Calls that C files must not make. Comments are blanked first.
set -u
banned='sprintf|vsprintf|strcpy|strcat|strncat|stpcpy|strtok|atoi|atol|atof|gets|system|popen|signal|alloca|setenv|putenv|exit|abort'
found=0
for f in src/*/*.c src/*/*.h; do
  [ -f "$f" ] || continue
  # -fpreprocessed -dD keeps the text and the line numbers and drops comments only.
  gcc -fpreprocessed -dD -E -P -x c "$f" 2>/dev/null |
    grep -nE "(^|[^A-Za-z0-9_.>])($banned)[[:space:]]*\(" | sed "s|^|$f (line without comments) |" &&
    found=1
done
[ $found = 0 ] || echo "Banned calls: see CONTRIBUTING.md for what to use instead." >&2
exit $found
