#!/bin/sh
# Calls that C files must not make. Comments are blanked first.
set -u
banned='sprintf|vsprintf|strcpy|strcat|strncat|stpcpy|strtok|atoi|atol|atof|gets|system|popen|signal|alloca|setenv|putenv|exit|abort'
calls=$(for f in src/*/*.c src/*/*.h; do
  [ -f "$f" ] || continue
  # -fpreprocessed -dD keeps the text and its lines, and drops the comments.
  gcc -fpreprocessed -dD -E -x c "$f" 2>/dev/null | grep -v '^# ' |
    grep -E "(^|[^A-Za-z0-9_.>])($banned)[[:space:]]*\(" | sed "s|^|$f: |"
done)
[ -z "$calls" ] && exit 0
printf '%s\nBanned calls: CONTRIBUTING.md says what to use instead.\n' "$calls" >&2
exit 1
