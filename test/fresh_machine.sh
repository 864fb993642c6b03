#!/usr/bin/env bash
# Proves that a fresh Debian 12 needs nothing but the two commands of the README: makes one in a folder, puts
# the tracked files into it, and runs `./dev serve` until it is ready, holds a conversation with it, then runs
# `./dev test`. Needs root and mmdebstrap.
#
#   fresh_machine.sh [serve|test]     only one of the two; default both
#
# WSPOOL_FRESH_DIR keeps the machine's image from run to run (default: build/fresh). Package sources and
# extra certificates are those of this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-both}
dir=${WSPOOL_FRESH_DIR:-$PWD/build/fresh}
root=$dir/root
mkdir -p "$dir"

die() { echo "fresh_machine: $*" >&2; exit 1; }
[[ $(id -u) == 0 ]] || die "run it as root: it makes a chroot."
command -v mmdebstrap >/dev/null || die "install mmdebstrap first."

debian_sources() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(ORIGIN) $(COMPONENT)' 'Created-By: Packages' |
        awk '$2 ~ /^bookworm/ && $3 == "Debian" && $4 == "main" { print "deb " $1 " " $2 " main" }' | sort -u
}

if [[ ! -f $dir/image.tar ]]; then
    debian_sources | grep -q . || die "this machine's apt knows no Debian 12 (run apt-get update)."
    debian_sources |
        mmdebstrap --quiet --variant=apt --format=tar --include=ca-certificates bookworm "$dir/image.part" - &&
        mv "$dir/image.part" "$dir/image.tar"
fi

rm -rf "$root"
mkdir -p "$root"
tar -xf "$dir/image.tar" -C "$root" --exclude='./dev/*'
cp /etc/resolv.conf "$root/etc/"
debian_sources >"$root/etc/apt/sources.list"
rm -f "$root"/etc/apt/sources.list.d/*
cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
# As the installer leaves it; a folder made from packages alone does not know its own name.
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
mkdir -p "$root/root/wspool"
git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -C "$root/root/wspool"

cat >"$root/root/run" <<'INSIDE'
set -euo pipefail
update-ca-certificates >/dev/null 2>&1 || true
cd /root/wspool
for tool in git sudo curl python3 g++ node; do
    ! command -v "$tool" >/dev/null || { echo "not so fresh: there is $tool"; exit 1; }
done
if [[ $1 != test ]]; then
    mkfifo /tmp/ready
    ./dev serve --listen 127.0.0.1:0 >/tmp/ready &
    gateway=$!
    read -r line </tmp/ready || { echo "./dev serve ended before it was ready"; exit 1; }
    echo "$line"
    [[ $line =~ ^wspool\ ready\ clients=([^ ]+)\  ]] || exit 1
    said=$(echo '{"type":"ping"}' | build/release/wspool connect "ws://${BASH_REMATCH[1]}/?clientId=alice")
    echo "$said"
    [[ $said == *'{"type":"pong"}'* ]] || { echo "no pong came"; exit 1; }
    kill -TERM "$gateway"
    wait "$gateway" || { echo "the gateway ended with status $?"; exit 1; }
fi
if [[ $1 != serve ]]; then ./dev test; fi
INSIDE

mount_and_run='
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && mount -t sysfs sysfs "$0/sys" &&
    mount -t tmpfs tmpfs "$0/tmp" && mount -t tmpfs tmpfs "$0/run" &&
    exec chroot "$0" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb bash /root/run "$1"'
unshare --mount --pid --fork --propagation private bash -c "$mount_and_run" "$root" "$what" </dev/null
echo "fresh_machine: $what works"
