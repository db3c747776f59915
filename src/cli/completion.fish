# SPDX-License-Identifier: Apache-2.0
# fish completion for weft, made by `weft completion fish`

# The words of a subcommand, as in cli.h: options first, then an entry for each place.
function __weft_words
	switch $argv[1]
@WORDS@
	end
end

# What there is of one kind of word, a line each.
function __weft_of -a kind weft interface
	switch $kind
		case INTERFACE
			$weft show interfaces 2>/dev/null | string split -n ' '
		case PEER
			$weft show $interface peers 2>/dev/null
		case CONFIG
			for file in /etc/wireguard/*.conf
				string replace -r '.*/(.*)\.conf$' '$1' $file
			end
			__fish_complete_suffix .conf
		case FILE
			__fish_complete_path (commandline -ct)
		case DIR
			__fish_complete_directories (commandline -ct)
		case '*'
			echo $kind
	end
end

function __weft
	set -l words (commandline -opc)
	set -l value none
	set -l place 1
	set -l last 0
	set -l options
	set -l places
	set -l now
	if test (count $words) -eq 1
		printf '%s\n' \
@DESCRIBED@
		return
	end
	for entry in (__weft_words $words[2] | string split -n ' ') --help
		switch $entry
			case '-*'
				set -a options $entry
			case '...'
				set last (count $places)
			case '*'
				set -a places $entry
		end
	end
	# what the words before this one ask for, and how many places they fill
	for word in $words[3..-1]
		if test "$value" != none
			set value none
			continue
		end
		if string match -q -- '-*' $word
			set now $options
		else
			set now (string split '|' -- "$places[$place]")
			test $place -eq $last; or set place (math $place + 1)
		end
		for entry in $now
			set -l half (string split -m 1 = -- $entry)
			if test (count $half) -eq 2 -a "$half[1]" = "$word"
				set value $half[2]
			end
		end
	end
	if test "$value" != none
		set now (string split -n , -- "$value")
	else if string match -q -- '-*' (commandline -ct)
		set now (string replace -r '=.*' '' -- $options)
	else
		set now (string split -n '|' -- "$places[$place]" | string replace -r '=.*' '')
	end
	for entry in $now
		__weft_of $entry $words[1] $words[3]
	end
end

complete -c weft -f -a '(__weft)'
