# bash completion for streamhold: verbs, options, platforms and account names.

_streamhold_accounts() { # of one platform, asked from the running service
	streamhold accounts --platform "$1" --no-color 2>/dev/null |
		awk 'NR > 1 { print $2 }'
}

_streamhold_names() { # of all, as PLATFORM/NAME
	streamhold accounts --no-color 2>/dev/null | awk 'NR > 1 { print $1 "/" $2 }'
}

_streamhold_consumers() {
	streamhold consumers list --no-color 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_streamhold_channels() { # whose events are wanted
	streamhold subs list --no-color 2>/dev/null | awk 'NR > 1 { print $1 }' | sort -u
}

_streamhold() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local platforms="twitch kick youtube"
	local types="chat.message.sent channel.followed channel.subscription.new channel.subscription.renewal"
	types="$types channel.subscription.gifts channel.reward.redemption.updated livestream.status.updated"
	types="$types livestream.metadata.updated moderation.banned kicks.gifted"
	local filters="--type --kind --platform --broadcaster --include --include-foreign"
	local oddities="bad-signature duplicate late foreign unknown-version"
	local every="--config --socket --system --json --no-color --help --version"
	local verb=${COMP_WORDS[1]:-} second=${COMP_WORDS[2]:-} words=

	COMPREPLY=()
	case $prev in
	--config | --socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--platform)
		mapfile -t COMPREPLY < <(compgen -W "$platforms" -- "$cur")
		return
		;;
	--type)
		mapfile -t COMPREPLY < <(compgen -W "$types" -- "$cur")
		return
		;;
	--kind)
		mapfile -t COMPREPLY < <(compgen -W "follow subscription gift tip chat stream reward moderation account notice unknown" -- "$cur")
		return
		;;
	--include)
		mapfile -t COMPREPLY < <(compgen -W "foreign synthetic quarantined" -- "$cur")
		return
		;;
	--to)
		[ "$verb" = events ] && words=$(_streamhold_consumers) || words="file secret-service"
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
		return
		;;
	--as)
		mapfile -t COMPREPLY < <(compgen -W "$oddities" -- "$cur")
		return
		;;
	--count | --broadcaster | --client-id | --scopes | --timeout | --after | --limit | --min-ttl | --kind | --start | --forward | --allow-private)
		return
		;;
	--include)
		mapfile -t COMPREPLY < <(compgen -W "foreign synthetic quarantined" -- "$cur")
		return
		;;
	esac
	if [ "$COMP_CWORD" -eq 1 ]; then
		words="up status doctor app login logout accounts token exec audit refresh events trigger consumers subs keystore database inspect config version help"
	else
		case "$verb $second" in
		"up "*) words="--check-only" ;;
		"status "*) words="--check" ;;
		"keystore migrate") words="--to file secret-service" ;;
		"keystore status" | "keystore rotate") ;;
		"keystore "*) words="status migrate rotate" ;;
		"database "*) words="check" ;;
		"app add") words="$platforms --client-id --secret-stdin --scopes" ;;
		"app remove") words="$platforms --yes" ;;
		"app list") ;;
		"app "*) words="add list remove" ;;
		"login "*)
			if [ "$COMP_CWORD" -eq 2 ]; then
				words=$platforms
			elif [ "$COMP_CWORD" -eq 3 ]; then
				words=$(_streamhold_accounts "$second")
			fi
			words="$words --adopt --timeout --no-browser --qr --paste --device"
			;;
		"logout "*) words="$(_streamhold_names) --yes" ;;
		"accounts "*) words="--ask --platform" ;;
		"refresh "*) words=$(_streamhold_names) ;;
		"token get") words="$(_streamhold_names) --min-ttl --header" ;;
		"token allow" | "token deny") words=$(_streamhold_names) ;;
		"token "*) words="get allow deny" ;;
		"exec "*)
			if [ "$COMP_CWORD" -eq 2 ]; then
				words="$(_streamhold_names) --min-ttl"
			else
				words=$(compgen -c -- "$cur")
			fi
			;;
		"audit "*) words="--limit" ;;
		"events list") words="--after --limit $filters" ;;
		"events tail") words="--follow --limit $filters" ;;
		"events show") ;;
		"events replay") words="--to" ;;
		"events "*) words="tail list show replay" ;;
		"trigger "*) words="$types --count --as --broadcaster" ;;
		"consumers add")
			words="--forward --allow-private --secret-stdin --type --platform --kind --broadcaster --include --start"
			;;
		"consumers list") ;;
		"consumers show" | "consumers test" | "consumers enable") words=$(_streamhold_consumers) ;;
		"consumers remove") words="$(_streamhold_consumers) --yes" ;;
		"consumers rotate-secret") words="$(_streamhold_consumers) --overlap --secret-stdin" ;;
		"consumers dead") words="$(_streamhold_consumers) --after --limit" ;;
		"consumers retry") words="$(_streamhold_consumers) --all" ;;
		"consumers "*) words="add list show remove test rotate-secret dead retry enable" ;;
		"subs sync" | "subs adopt") words="$(_streamhold_channels) --dry-run" ;;
		"subs reset") words=$(_streamhold_channels) ;;
		"subs clear") words="$(_streamhold_channels) --yes" ;;
		"subs list") words=$(_streamhold_channels) ;;
		"subs set")
			if [ "$COMP_CWORD" -eq 3 ]; then
				words="$(_streamhold_channels) $(_streamhold_accounts kick)"
			else
				words="all $types"
			fi
			;;
		"subs "*) words="list set reset sync clear adopt" ;;
		"config check" | "config show" | "config units")
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
			;;
		"config schema" | "config template") ;;
		"config "*) words="check show schema template units" ;;
		"help "*) words="up status doctor app login logout accounts events trigger consumers subs keystore database inspect config version" ;;
		esac
		words="$words $every"
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _streamhold streamhold
