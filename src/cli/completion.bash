# SPDX-License-Identifier: Apache-2.0
# bash completion for weft, made by `weft completion bash`. shellcheck shell=bash

# The words of a subcommand, as in cli.h: options first, then an entry for each place.
_weft_words()
{
	case $1 in
@WORDS@
	esac
}

# Adds to COMPREPLY what there is of one kind of word.
_weft_add()
{
	local -a names=()
	case $1 in
	INTERFACE) mapfile -t names < <("$weft" show interfaces 2>/dev/null | tr ' ' '\n') ;;
	PEER) mapfile -t names < <("$weft" show "${words[2]}" peers 2>/dev/null) ;;
	CONFIG)
		mapfile -t names < <(cd /etc/wireguard 2>/dev/null && compgen -G '*.conf')
		names=("${names[@]%.conf}")
		_filedir conf
		;;
	FILE) _filedir ;;
	DIR) _filedir -d ;;
	*) names=("$1") ;;
	esac
	mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W "${names[*]}" -- "$cur")
}

_weft()
{
	local cur prev words cword split weft=$1 entry i value=none place=0 last=-1
	local -a options=() places=() now=()
	_init_completion -s -n : || return
	if [ "$cword" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W '@NAMES@' -- "$cur")
		return
	fi
	for entry in $(_weft_words "${words[1]}") --help; do
		case $entry in
		-*) options+=("$entry") ;;
		...) last=$((${#places[@]} - 1)) ;;
		*) places+=("$entry") ;;
		esac
	done
	# what the words before this one ask for, and how many places they fill
	[ "$split" = false ] || words[cword]=$prev cword=$((cword + 1))
	for ((i = 2; i < cword; i++)); do
		if [ "$value" != none ]; then
			value=none
			continue
		fi
		if [[ ${words[i]} == -* ]]; then
			now=("${options[@]}")
		else
			IFS='|' read -ra now <<<"${places[place]-}"
			[ "$place" -eq "$last" ] || place=$((place + 1))
		fi
		for entry in "${now[@]}"; do
			[[ $entry != "${words[i]}="* ]] || value=${entry#*=}
		done
	done
	if [ "$value" != none ]; then
		IFS=, read -ra now <<<"$value"
	elif [[ $cur == -* ]]; then
		now=("${options[@]%%=*}")
	else
		IFS='|' read -ra now <<<"${places[place]-}"
		now=("${now[@]%%=*}")
	fi
	for entry in "${now[@]}"; do
		_weft_add "$entry"
	done
}
complete -F _weft weft
