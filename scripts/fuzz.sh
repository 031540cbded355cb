#!/bin/sh
# Runs one fuzz target for some seconds and says in a line how it went.
#   fuzz.sh build/fuzz NAME SECONDS
set -u
dir=$1 name=$2 seconds=$3
log=$dir/$name.log
mkdir -p "$dir/corpus/$name" || exit 1
"$dir/fuzz_$name" -max_total_time="$seconds" -print_final_stats=1 -timeout=10 -rss_limit_mb=1024 \
  -artifact_prefix="$dir/$name-" "$dir/corpus/$name" "spec/fuzz/corpus/$name" >"$log" 2>&1
rc=$?
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
if [ $rc -ne 0 ] || [ -z "$runs" ]; then
  tail -n 60 "$log" >&2
  echo "fuzz $name: FAILED (exit $rc), see $log" >&2
  exit 1
fi
echo "fuzz $name: $runs runs in $seconds s, $(find "$dir/corpus/$name" -type f | wc -l) inputs kept"
