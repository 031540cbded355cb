#!/bin/bash
# usage: debootstrap-test.sh [quickstart|test]…     (both)
# Runs the README's own command lines in a bare Debian 12: no make, no sudo, no git, no
# network but the package mirror's. Twice each, since both promise to be safe to repeat.
# Needs root and debootstrap. CHROOT_CACHE=FILE.tar keeps the bare system for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "debootstrap-test: run this as root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "debootstrap-test: apt-get install debootstrap" >&2; exit 1; }
[ $# -gt 0 ] || set -- quickstart test

commands=()
for name in "$@"; do
  line=$(sed -n "/<!-- $name -->/,/<!-- end -->/p" README.md | grep -v -e '^<!--' -e '^```' | grep .)
  [ "$(wc -l <<<"$line")" = 1 ] || { echo "README.md: no one line between the marks of $name" >&2; exit 1; }
  commands+=("$line")
done

work=$(mktemp -d "${TMPDIR:-/var/tmp}/epoch-chroot.XXXXXX")
root=$work/root
# Nothing is mounted in this namespace (see inside), so nothing of the machine's can be removed.
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
say() { printf '== %s\n' "$*"; }

# The mirror (where there is none: debootstrap's own) and the transport settings are this
# machine's; the suite is bookworm.
mirror=${CHROOT_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' 'Created-By: Packages' |
  awk '$2 == "Debian" && $3 == "bookworm" { print $1; exit }')}
mkdir "$root"
start=$SECONDS
if [ -n "${CHROOT_CACHE:-}" ] && [ -s "$CHROOT_CACHE" ]; then
  tar -xpf "$CHROOT_CACHE" -C "$root"
  say "bare Debian 12 from $CHROOT_CACHE: $((SECONDS - start)) s"
else
  debootstrap --variant=minbase bookworm "$root" $mirror >"$work/log" 2>&1 || { tail "$work/log" >&2; exit 1; }
  say "bare Debian 12 by debootstrap: $((SECONDS - start)) s"
  [ -z "${CHROOT_CACHE:-}" ] || { tar -cpf "$CHROOT_CACHE.new" -C "$root" . && mv "$CHROOT_CACHE.new" "$CHROOT_CACHE"; }
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
for f in $(grep -ls '^Acquire' /etc/apt/apt.conf.d/* || true); do
  cp "$f" "$root/etc/apt/apt.conf.d/"
done
mkdir "$root/src"
git clone -q --no-hardlinks . "$root/src/epoch"
[ ! -d ../shared ] || cp -rL ../shared "$root/src/shared"

# Own mount and process namespaces: when this ends, the mounts and every process are gone.
inside() {
  unshare --mount --pid --fork --kill-child bash -c '
    set -e
    mount --make-rprivate /
    mount -t proc proc "$1/proc"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
    mount -t tmpfs tmpfs "$1/dev/shm"
    exec chroot "$1" /usr/bin/env -i HOME=/root TERM=dumb LANG=C.UTF-8 \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/bash -c "$2"
  ' bash "$root" "$1" </dev/null
}

for i in "${!commands[@]}"; do
  for round in first second; do
    say "in the bare system ($round time): ${commands[$i]}"
    start=$SECONDS
    # Whatever still runs after the command was started by it and not cleaned up.
    inside "cd /src/epoch && { ${commands[$i]}; } || exit 1
      left=''
      for p in /proc/[0-9]*; do [ \${p#/proc/} = \$\$ ] || left=\$left\$(tr '\\0' ' ' 2>/dev/null <\$p/cmdline); done
      [ -z \"\$left\" ] || { echo \"still running: \$left\"; exit 1; }
      [ ! -e /usr/sbin/policy-rc.d ] || { echo 'policy-rc.d was left behind'; exit 1; }"
    say "done in $((SECONDS - start)) s"
  done
done
say "the README's command lines work in a bare Debian 12"
