#compdef weft
# SPDX-License-Identifier: Apache-2.0
# zsh completion for weft, made by `weft completion zsh`

# The words of a subcommand, as in cli.h: options first, then an entry for each place.
_weft_words() {
	case $1 in
@WORDS@
	esac
}

# Adds what there is of one kind of word.
_weft_add() {
	local -a names
	case $1 in
	INTERFACE) names=(${=$(_call_program interfaces "${(q)words[1]} show interfaces")}) ;;
	PEER) names=(${=$(_call_program peers "${(q)words[1]} show ${(q)words[3]} peers")}) ;;
	CONFIG)
		names=(/etc/wireguard/*.conf(N:t:r))
		_files -g '*.conf'
		;;
	FILE) _files ;;
	DIR) _files -/ ;;
	*) names=("$1") ;;
	esac
	(( ! $#names )) || compadd -- $names
}

_weft() {
	local entry value=none i
	local -i place=1 last=0
	local -a subcommands options places now
	if (( CURRENT == 2 )); then
		subcommands=(
@DESCRIBED@
		)
		_describe subcommand subcommands
		return
	fi
	for entry in ${=$(_weft_words $words[2])} --help; do
		case $entry in
		-*) options+=("$entry") ;;
		...) last=$#places ;;
		*) places+=("$entry") ;;
		esac
	done
	# what the words before this one ask for, and how many places they fill
	for (( i = 3; i < CURRENT; i++ )); do
		if [[ $value != none ]]; then
			value=none
			continue
		fi
		if [[ $words[i] == -* ]]; then
			now=($options)
		else
			now=(${(s:|:)places[place]})
			(( place == last )) || (( ++place ))
		fi
		for entry in $now; do
			[[ $entry != $words[i]=* ]] || value=${entry#*=}
		done
	done
	if [[ $value != none ]]; then
		now=(${(s:,:)value})
	elif [[ $words[CURRENT] == -* ]]; then
		now=(${options%%=*})
	else
		now=(${${(s:|:)places[place]}%%=*})
	fi
	for entry in $now; do
		_weft_add $entry
	done
}

_weft "$@"
