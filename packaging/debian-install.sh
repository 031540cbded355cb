#!/bin/sh
# Installs what the named sections of debian-packages.txt list and this machine lacks.
# usage: debian-install.sh SECTION…     Root, or sudo for apt-get only. Safe to repeat.
set -eu
list=$(dirname "$0")/debian-packages.txt
export DEBIAN_FRONTEND=noninteractive

say() { printf '%s\n' "$*"; }

section() { sed -n "s/^$1[[:space:]][[:space:]]*//p" "$list"; }

installed() {
  dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  say "This is not Debian, so nothing is installed. Needed are, by their Debian names:"
  for s in "$@"; do section "$s" | sed 's/^/  /'; done
  say "Going on with what is there."
  exit 0
fi

missing='' reasons=''
for s in "$@"; do
  while read -r names why; do
    [ -n "$names" ] || continue
    there=no
    for p in $(printf %s "$names" | tr '|' ' '); do
      installed "$p" && there=yes && break
    done
    if [ $there = no ]; then
      p=${names%%|*}
      missing="$missing $p"
      reasons="$reasons$(printf '  %-24s %s' "$p" "$why")
"
    fi
  done <<END
$(section "$s")
END
done
if [ -z "$missing" ]; then
  say "Debian packages for $*: all there."
  exit 0
fi

sudo=''
if [ "$(id -u)" != 0 ]; then
  sudo=sudo
  command -v sudo >/dev/null || {
    say "Run this as root, there is no sudo: apt-get install --no-install-recommends$missing" >&2
    exit 1
  }
fi
say "About to install with ${sudo:+sudo }apt-get, without recommended packages:"
printf %s "$reasons"

# Test servers are started by the tests on ports of their own, never as services: this
# answers "may it be started?" with no while packages are set up. A machine that has an
# answer of its own keeps it.
policy=/usr/sbin/policy-rc.d log=$(mktemp) made=''
trap 'rm -f "$log"; [ -z "$made" ] || $sudo rm -f $policy' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ ! -e $policy ]; then
  made=yes
  printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
  $sudo chmod 755 $policy
fi

for p in $missing; do
  if ! apt-cache show "$p" >/dev/null 2>&1; then
    say "The package lists do not know $p yet: apt-get update"
    $sudo apt-get update -qq
    break
  fi
done
# shellcheck disable=SC2086 # a list of words
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  $missing </dev/null >"$log" 2>&1 || {
  cat "$log" >&2
  exit 1
}

# On a machine with systemd they would start at the next boot.
for pair in nginx:nginx docker-registry:docker-registry ceph-mon:ceph-crash; do
  case " $missing " in *" ${pair%:*} "*)
    [ ! -d /run/systemd/system ] || $sudo systemctl disable --now --quiet "${pair#*:}" ;;
  esac
done
say "Installed:$missing"
