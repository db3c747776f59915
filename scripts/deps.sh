#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing: `deps.sh demo` for building and the demo,
# `deps.sh check` for those and everything that the tests use. Does nothing, and asks nothing of
# the network, when all are there.
set -eu

build=(gcc libc6-dev make meson ninja-build pkgconf libssl-dev libsodium-dev libmnl-dev
       libcap-ng-dev libjansson-dev libnftables-dev)
# the faster ChaCha20-Poly1305; there is none for other processors
[ "$(dpkg --print-architecture)" != amd64 ] || build+=(libipsec-mb-dev)
demo=(iproute2 iputils-ping nftables iperf3 util-linux procps)
check=(git clang clang-tidy clang-format libclang-rt-14-dev llvm cppcheck shellcheck mandoc
       libcmocka-dev valgrind python3 python3-pytest python3-pytest-timeout python3-pytest-xdist
       python3-cryptography
       wireguard-tools wireguard-go tshark tcpdump conntrack ethtool openresolv
       qemu-system-x86 busybox-static cpio kmod wget xz-utils zstd systemd
       bash-completion zsh fish)

case "${1:-}" in
demo) want=("${build[@]}" "${demo[@]}") ;;
check) want=("${build[@]}" "${demo[@]}" "${check[@]}") ;;
*) echo "usage: ${0##*/} demo|check" >&2; exit 2 ;;
esac

missing=()
for p in "${want[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || {
		echo "weft: these packages are missing and installing them needs root: ${missing[*]}" >&2
		exit 1
	}
	sudo=sudo
fi
echo "weft: installing ${#missing[@]} Debian packages: ${missing[*]}" >&2
$sudo apt-get update -q >/dev/null ||
	echo "weft: apt-get update failed; trying with the package lists that are here" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
	"${missing[@]}" >"$log" 2>&1 || {
	tail -n 20 "$log" >&2
	echo "weft: apt-get install failed (above)" >&2
	exit 1
}
