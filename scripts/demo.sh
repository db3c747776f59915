#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shows weft working on this machine: a hub and three spokes, each a network namespace with its own
# weftd, configured from examples/. Says what it does, proves it, takes everything away again.
#
#   scripts/demo.sh                     run it (root; WEFT_BUILD names the build directory)
#   KEEP=1 scripts/demo.sh              and leave it standing
#   scripts/demo.sh --enter HOST [CMD]  a shell, or CMD, on hub, one, two, three, nat or internet
#   scripts/demo.sh --clean             take away what stands
#
# All state is under /run/weft-demo: the namespaces of each host as files, configurations, logs.
set -uo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${WEFT_BUILD:-$top/build/release}
case $build in /*) ;; *) build=$top/$build ;; esac
weftd=${WEFTD:-$build/src/daemon/weftd} # another program can stand in: WEFTD=wireguard-go WEFT=wg
weft=${WEFT:-$build/src/cli/weft}
state=/run/weft-demo

hosts=(hub one two three)              # those with a tunnel
all_hosts=(internet nat "${hosts[@]}")
declare -A conf=([hub]=hub [one]=spoke-one [two]=spoke-two [three]=spoke-three)
declare -A inner4=([hub]=10.8.0.1 [one]=10.8.0.11 [two]=10.8.0.12 [three]=10.8.0.13)
declare -A inner6=([hub]=fd08::1 [one]=fd08::11 [two]=fd08::12 [three]=fd08::13)
declare -A daemon_pid public_key
nat_timeout=5  # seconds without a packet after which the NAT forgets
silence=7      # longer than that
stream_s=5     # seconds of TCP

failures=()
work=''        # pid of what runs now
step_open=''   # a step's line waits for its result

bold='' dim='' red='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

# ---- what the user sees

title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
note() { printf '  %s%s%s\n' "$dim" "$*" "$plain"; }
step() { step_open=$*; printf '  %-66s ' "$*"; }
ok() { step_open=''; printf '%s%s%s\n' "$green" "${1:-ok}" "$plain"; }
# a proof that did not hold: the demo goes on, and ends with 1
bad() {
	failures+=("$step_open: $1")
	step_open=''
	printf '%sFAILED%s %s\n' "$red" "$plain" "$1"
}
# something without which nothing else makes sense
die() {
	[ -z "$step_open" ] || printf '%sFAILED%s\n' "$red" "$plain"
	step_open=''
	printf '%sweft demo: %s%s\n' "$red" "$*" "$plain" >&2
	exit 1
}

# ---- namespaces

on() { # HOST COMMAND...
	local dir=$state/$1
	shift
	nsenter --net="$dir/net" --mount="$dir/mnt" --uts="$dir/uts" -- "$@"
}
# The same for the background: the shell becomes the command, and $! is the command's own.
become_on() {
	local dir=$state/$1
	shift
	exec nsenter --net="$dir/net" --mount="$dir/mnt" --uts="$dir/uts" -- "$@"
}

# As a child that is waited for, so that a signal is handled at once.
run() {
	"$@" &
	work=$!
	wait "$work"
	local code=$?
	work=''
	return "$code"
}
pause() { run sleep "$1"; }

new_host() {
	local dir=$state/$1
	mkdir "$dir" && : >"$dir/net" && : >"$dir/mnt" && : >"$dir/uts" || return 1
	# shellcheck disable=SC2016 # for the inner shell
	unshare --net="$dir/net" --uts="$dir/uts" --mount="$dir/mnt" --propagation private \
		sh -ec '
		hostname "$2"
		umount -lR "$1"
		mount -t tmpfs -o mode=0755 none /run/wireguard
		mount -t sysfs none /sys
		echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
		ip link set lo up
		' sh "$state" "$1"
}

# join HOST HOST_IF HOST_ADDRESSES OTHER OTHER_IF OTHER_ADDRESSES: a cable, addresses by commas
join() {
	ip link add "$2" netns "$state/$1/net" type veth peer name "$5" netns "$state/$4/net" || return 1
	local host dev address
	for host in "$1 $2 $3" "$4 $5 $6"; do
		read -r host dev addresses <<<"$host"
		for address in ${addresses//,/ }; do
			case $address in
			*:*) on "$host" ip address add "$address" dev "$dev" nodad || return 1 ;;
			*) on "$host" ip address add "$address" dev "$dev" || return 1 ;;
			esac
		done
		on "$host" ip link set "$dev" up || return 1
	done
}

# Pids of all that runs in the demo's namespaces, by the namespaces' inodes.
processes() {
	local inodes=' ' dir inode name
	for dir in "$state"/*/net; do
		mountpoint -q "$dir" && inodes+="$(stat -Lc %i "$dir") "
	done
	[ "$inodes" != ' ' ] || return 0
	while read -r inode name; do
		case $inodes in *" $inode "*)
			name=${name#/proc/}
			echo "${name%%/*}"
			;;
		esac
	done < <(stat -Lc '%i %n' /proc/[0-9]*/ns/net 2>/dev/null)
}

# Takes away whatever is there, however far it came. True if nothing is left.
clean() {
	local pid left i dir file
	[ -d "$state" ] || return 0
	for pid in $(processes); do kill -TERM "$pid" 2>/dev/null; done
	for i in {1..30}; do
		left=$(processes)
		[ -n "$left" ] || break
		[ "$i" -lt 30 ] || for pid in $left; do kill -KILL "$pid" 2>/dev/null; done
		sleep 0.1
	done
	for dir in "$state"/*/; do
		for file in net mnt uts; do umount -l "$dir$file" 2>/dev/null; done
	done
	[ ! -e "$state/made-run-wireguard" ] || rmdir /run/wireguard 2>/dev/null
	umount -l "$state" 2>/dev/null
	rmdir "$state" 2>/dev/null || rm -rf --one-file-system "$state"
	[ ! -e "$state" ]
}

on_exit() {
	local code=$?
	trap '' INT TERM HUP
	trap - EXIT
	[ -z "$work" ] || kill "$work" 2>/dev/null
	clean || {
		echo "weft demo: could not remove $state" >&2
		code=1
	}
	exit "$code"
}
on_signal() {
	printf '\n%sweft demo: stopped by SIG%s, cleaning up%s\n' "$red" "$1" "$plain" >&2
	exit "$2"
}

# ---- the parts

need_tools() {
	local missing=() pair
	for pair in ip:iproute2 nft:nftables ping:iputils-ping iperf3:iperf3 nsenter:util-linux \
		sysctl:procps; do
		command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
	done
	[ ${#missing[@]} -eq 0 ] || die "missing: apt-get install ${missing[*]}"
	command -v "$weftd" >/dev/null || die "$weftd is not there: run make build"
	command -v "$weft" >/dev/null || die "$weft is not there: run make build"
	[ -e /dev/net/tun ] || die "/dev/net/tun is not there: modprobe tun"
	[ -e /proc/net/if_inet6 ] || die "this machine has no IPv6, which spoke three needs"
}

picture() {
	cat <<-'EOF'

	     spoke one                 hub                 spoke three
	   203.0.113.20           198.51.100.10           2001:db8:3::40
	         |                2001:db8:1::10          (IPv6 alone)
	         |                      |                      |
	         +----------------- internet ------------------+
	                                |
	                          NAT 192.0.2.30
	                                |
	                            spoke two
	                          192.168.30.2
	EOF
}

make_state() {
	mkdir -m 0700 "$state" 2>/dev/null || {
		echo "weft demo: $state exists: a demo is standing, or one was killed." >&2
		echo "Take it away with: make demo-clean   (or ${BASH_SOURCE[0]} --clean)" >&2
		exit 1
	}
	trap on_exit EXIT
	trap 'on_signal INT 130' INT
	trap 'on_signal TERM 143' TERM
	trap 'on_signal HUP 129' HUP
	if ! mount -t tmpfs -o mode=0700 weft-demo "$state" || ! mount --make-private "$state"; then
		die "cannot mount a tmpfs at $state"
	fi
	mkdir "$state/conf" "$state/log"
	printf 'weftd=%q\nweft=%q\n' "$weftd" "$weft" >"$state/programs"
	[ -d /run/wireguard ] || {
		mkdir -m 0755 /run/wireguard && : >"$state/made-run-wireguard"
	}
}

make_network() {
	local host
	step "hosts: internet, nat, ${hosts[*]}"
	for host in "${all_hosts[@]}"; do new_host "$host" || die "cannot make host $host"; done
	ok

	step "cables and addresses"
	{
		join internet to-hub 198.51.100.1/24,2001:db8:1::1/64 \
			hub eth0 198.51.100.10/24,2001:db8:1::10/64 &&
			join internet to-one 203.0.113.1/24 one eth0 203.0.113.20/24 &&
			join internet to-nat 192.0.2.1/24 nat wan 192.0.2.30/24 &&
			join nat lan 192.168.30.1/24 two eth0 192.168.30.2/24 &&
			join internet to-three 2001:db8:3::1/64 three eth0 2001:db8:3::40/64 &&
			on hub ip route add default via 198.51.100.1 &&
			on hub ip route add default via 2001:db8:1::1 &&
			on one ip route add default via 203.0.113.1 &&
			on nat ip route add default via 192.0.2.1 &&
			on two ip route add default via 192.168.30.1 &&
			on three ip route add default via 2001:db8:3::1
	} || die "cannot join the hosts"
	for host in internet nat hub; do
		on "$host" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 ||
			die "cannot turn forwarding on"
	done
	ok

	step "NAT: masquerade, no way in unasked, UDP forgotten after $nat_timeout s"
	on nat nft -f - <<-'EOF' || die "nft refused the rules"
	table ip nat {
		chain postrouting {
			type nat hook postrouting priority srcnat
			oifname "wan" masquerade
		}
	}
	table ip filter {
		chain input {
			type filter hook input priority filter; policy accept
			iifname "wan" ct state != { established, related } meta l4proto udp drop
		}
		chain forward {
			type filter hook forward priority filter; policy accept
			iifname "wan" ct state != { established, related } drop
		}
	}
	EOF
	on nat sysctl -qw net.netfilter.nf_conntrack_udp_timeout="$nat_timeout" \
		net.netfilter.nf_conntrack_udp_timeout_stream="$nat_timeout" ||
		die "cannot set the NAT's timeouts"
	ok
}

# Fills the keys into examples/*.conf. By the shell alone: no key is ever on a command line.
make_configurations() {
	local host name private text psk
	declare -A private_key
	step "keys by weft genkey, configurations from examples/"
	for host in "${hosts[@]}"; do
		private=$("$weft" genkey) || die "weft genkey failed"
		private_key[$host]=$private
		public_key[$host]=$("$weft" pubkey <<<"$private") || die "weft pubkey failed"
	done
	psk=$("$weft" genpsk) || die "weft genpsk failed"
	for host in "${hosts[@]}"; do
		text=$(<"$top/examples/${conf[$host]}.conf") || die "cannot read examples/${conf[$host]}.conf"
		for name in "${hosts[@]}"; do
			text=${text//"@${name^^}_PRIVATE_KEY@"/${private_key[$name]}}
			text=${text//"@${name^^}_PUBLIC_KEY@"/${public_key[$name]}}
		done
		text=${text//@THREE_PRESHARED_KEY@/$psk}
		printf '%s\n' "$text" >"$state/conf/$host.conf"
	done
	ok
}

# wg-quick's lines apart, a file is what setconf reads
without_quick_lines() { sed -E '/^(Address|MTU|DNS|Table)[[:space:]]*=/d' "$1"; }

start_host() {
	local host=$1 file=$state/conf/$1.conf addresses address i
	addresses=$(sed -nE 's/^Address[[:space:]]*=[[:space:]]*//p' "$file")
	step "$host: weftd wg0, weft setconf, ${addresses}"
	LOG_LEVEL=${LOG_LEVEL:-info} become_on "$host" "$weftd" -f wg0 \
		</dev/null >"$state/log/$host.log" 2>&1 &
	daemon_pid[$host]=$!
	for i in {1..150}; do
		on "$host" "$weft" show wg0 >/dev/null 2>&1 && break
		kill -0 "${daemon_pid[$host]}" 2>/dev/null || i=150
		[ "$i" -lt 150 ] || {
			tail -n 5 "$state/log/$host.log" >&2
			die "weftd on $host does not answer"
		}
		pause 0.1
	done
	without_quick_lines "$file" | on "$host" "$weft" setconf wg0 /dev/stdin ||
		die "weft setconf failed on $host"
	for address in ${addresses//,/ }; do
		case $address in
		*:*) on "$host" ip address add "$address" dev wg0 nodad ;;
		*) on "$host" ip address add "$address" dev wg0 ;;
		esac || die "cannot set $address on $host"
	done
	on "$host" ip link set wg0 mtu 1420 up || die "cannot bring wg0 up on $host"
	ok
}

# reach FROM ADDRESS COUNT WAIT: prints the mean of the round trips in ms; false if any was lost,
# also when tried again: once one answer is there, ping waits for the others hardly at all, which is
# too short on a busy machine
reach() {
	local out try
	for try in 1 2 3; do
		[ "$try" -eq 1 ] || [ "$3" -gt 1 ] || return 1
		out=$(on "$1" ping -n -q -c "$3" -i 0.05 -W "$4" "$2" 2>/dev/null) || continue
		[[ $out == *" 0% packet loss"* && $out =~ =\ [0-9.]+/([0-9.]+)/ ]] || continue
		printf '%s' "${BASH_REMATCH[1]}"
		return 0
	done
	return 1
}

first_contact() {
	local host ms
	for host in one two three; do
		step "handshake: $host calls the hub"
		if ms=$(reach "$host" "${inner4[hub]}" 1 15); then ok "ok, first answer after $ms ms"
		else bad "no answer from the hub"; fi
	done
	local seen
	step "the hub sees spoke two at the NAT's address"
	seen=$(on hub "$weft" show wg0 endpoints | awk -v k="${public_key[two]}" '$1 == k {print $2}')
	case $seen in 192.0.2.30:*) ok "$seen" ;; *) bad "it sees ${seen:-nothing}" ;; esac
	step "the hub sees spoke three over IPv6"
	seen=$(on hub "$weft" show wg0 endpoints | awk -v k="${public_key[three]}" '$1 == k {print $2}')
	case $seen in "[2001:db8:3::40]:"*) ok "$seen" ;; *) bad "it sees ${seen:-nothing}" ;; esac
}

reach_table() { # FAMILY, then the name of the array with the addresses
	local family=$1 from to ms
	local -n address_of=$2
	printf '\n  %s%-14s' "$bold" "$family"
	for to in "${hosts[@]}"; do printf '%12s' "to $to"; done
	printf '%s\n' "$plain"
	for from in "${hosts[@]}"; do
		printf '  %-14s' "from $from"
		for to in "${hosts[@]}"; do
			if [ "$from" = "$to" ]; then printf '%12s' '.'
			elif ms=$(reach "$from" "${address_of[$to]}" 3 2); then
				printf '%s%12s%s' "$green" "$ms ms" "$plain"
			else
				printf '%s%12s%s' "$red" 'NO' "$plain"
				failures+=("$from does not reach $to over $family")
			fi
		done
		printf '\n'
	done
}

nat_proof() {
	local ms
	step "keepalive every 2 s, $silence s without data, then hub -> two"
	pause "$silence"
	if ms=$(reach hub "${inner4[two]}" 3 2); then ok "reached, $ms ms"
	else bad "the NAT's mapping was not kept open"; fi

	step "keepalive off, $silence s of silence: the NAT forgets, hub -> two"
	on two "$weft" set wg0 peer "${public_key[hub]}" persistent-keepalive off ||
		bad "weft set failed"
	pause "$silence"
	if reach hub "${inner4[two]}" 1 1 >/dev/null
	then bad "reached: then this NAT proves nothing"
	else ok "not reached, as it must be"; fi

	step "keepalive on again, hub -> two"
	on two "$weft" set wg0 peer "${public_key[hub]}" persistent-keepalive 2 ||
		bad "weft set failed"
	pause 0.5
	if ms=$(reach hub "${inner4[two]}" 3 2); then ok "reached, $ms ms"
	else bad "the mapping did not come back"; fi
}

throughput() {
	local control=cubic out rate i server
	step "one TCP stream of $stream_s s, one -> hub, iperf3 -C cubic"
	on one sysctl -n net.ipv4.tcp_available_congestion_control | grep -qw cubic ||
		control=$(on one sysctl -n net.ipv4.tcp_congestion_control)
	become_on hub iperf3 -s -1 -B "${inner4[hub]}" >/dev/null 2>&1 &
	server=$!
	for i in {1..20}; do # until the server listens
		run become_on one iperf3 -c "${inner4[hub]}" -t "$stream_s" -C "$control" -f m \
			>"$state/log/iperf3" 2>&1 && break
		pause 0.1
	done
	kill "$server" 2>/dev/null
	out=$(awk '$NF == "receiver" {print $7; exit}' "$state/log/iperf3")
	rate=$(awk -v m="${out:-0}" 'BEGIN {if (m > 0) printf "%.2f Gbit/s", m / 1000}')
	if [ -n "$rate" ]; then ok "$rate ($control)"
	else bad "$(tail -n 1 "$state/log/iperf3")"; fi
	note "both ends share this machine's $(nproc) CPUs; outside MTU 1500, inside 1420"
}

show_all() {
	local host color=never
	[ -z "$bold" ] || color=always
	title "weft show, on each host"
	for host in "${hosts[@]}"; do
		printf '  %s%-6s%s %s\n' "$bold" "$host" "$plain" "${public_key[$host]}"
	done
	for host in "${hosts[@]}"; do
		printf '\n  %s%s#%s weft show\n' "$bold" "$host" "$plain"
		WG_COLOR_MODE=$color on "$host" "$weft" show | sed 's/^./    &/' ||
			failures+=("weft show on $host")
	done
}

stop_daemons() {
	local host code
	step "SIGTERM to each weftd: it ends, interface and socket go with it"
	for host in "${hosts[@]}"; do kill -TERM "${daemon_pid[$host]}" 2>/dev/null; done
	for host in "${hosts[@]}"; do
		wait "${daemon_pid[$host]}"
		code=$?
		if [ "$code" -ne 0 ]; then
			bad "weftd on $host ended with $code: $(tail -n 1 "$state/log/$host.log")"
			return
		elif on "$host" ip link show wg0 >/dev/null 2>&1; then
			bad "wg0 is still there on $host"
			return
		elif on "$host" test -e /run/wireguard/wg0.sock; then
			bad "the socket is still there on $host"
			return
		fi
	done
	ok
}

verdict() {
	local failure
	if [ ${#failures[@]} -gt 0 ]; then
		title "${red}${#failures[@]} of the demo's proofs failed:"
		for failure in "${failures[@]}"; do printf '  - %s\n' "$failure"; done
		for failure in "${hosts[@]}"; do
			[ -s "$state/log/$failure.log" ] || continue
			printf '\n  weftd on %s said:\n' "$failure"
			tail -n 5 "$state/log/$failure.log" | sed 's/^/    /'
		done
	else
		title "${green}Everything worked, in $SECONDS s."
	fi
}

keep() {
	trap - EXIT INT TERM HUP
	: >"$state/kept"
	title "The demo stays up."
	cat <<-EOF
	  a shell on a host:   ${BASH_SOURCE[0]} --enter hub      (${hosts[*]} nat internet)
	                       there: weft show, ping ${inner4[two]}, ping ${inner6[three]}, tcpdump -ni eth0
	  one command:         ${BASH_SOURCE[0]} --enter two weft show
	  configurations:      $state/conf
	  weftd's logs:        $state/log
	  take it away:        make demo-clean                    (or ${BASH_SOURCE[0]} --clean)
	EOF
}

enter() {
	local host=${1:-}
	[ -e "$state" ] || die "no demo stands here: make demo KEEP=1 makes one that stays"
	if [ -z "$host" ] || [ ! -e "$state/$host/net" ]; then
		die "--enter: no such host: '$host' (there are ${hosts[*]} nat internet)"
	fi
	shift
	# shellcheck source=/dev/null
	. "$state/programs"
	export PATH="${weft%/*}:$PATH" PS1="weft-demo $host# "
	[ $# -gt 0 ] || set -- bash --norc
	on "$host" "$@"
}

usage() {
	sed -n '/^#   [^ ]*.*scripts\/demo/s/^#   //p' "${BASH_SOURCE[0]}"
}

main() {
	[ "$(id -u)" -eq 0 ] ||
		die "needs root, to make network namespaces: sudo ${BASH_SOURCE[0]} $*"
	case ${1:-} in
	'') ;;
	--enter)
		shift
		enter "$@"
		exit
		;;
	--clean)
		[ -e "$state" ] || { echo "weft demo: nothing to take away"; exit 0; }
		clean || die "could not remove $state"
		echo "weft demo: taken away"
		exit 0
		;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		echo "weft demo: '$1' is not an option" >&2
		usage >&2
		exit 2
		;;
	esac
	umask 077
	need_tools
	make_state

	title "weft: a hub and three spokes, on this machine"
	picture
	title "The network"
	make_network
	title "The tunnels"
	make_configurations
	for host in "${hosts[@]}"; do start_host "$host"; done
	first_contact
	title "Who reaches whom: round trip through the tunnel, mean of 3"
	reach_table IPv4 inner4
	reach_table IPv6 inner6
	title "The NAT in front of spoke two"
	nat_proof
	title "Throughput"
	throughput
	show_all
	if [ -z "${KEEP:-}" ] || [ "$KEEP" = 0 ]; then
		title "The end"
		stop_daemons
	fi
	verdict
	[ -z "${KEEP:-}" ] || [ "$KEEP" = 0 ] || keep
	[ ${#failures[@]} -eq 0 ]
}

main "$@"
