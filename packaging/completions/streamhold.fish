# fish completion for streamhold: verbs, options and platforms.

set -l platforms twitch kick youtube
set -l types chat.message.sent channel.followed channel.subscription.new channel.subscription.renewal
set -a types channel.subscription.gifts channel.reward.redemption.updated livestream.status.updated
set -a types livestream.metadata.updated moderation.banned kicks.gifted
set -l verbs up status app login logout accounts token exec audit refresh events trigger keystore inspect config version help

complete -c streamhold -f
complete -c streamhold -n "not __fish_seen_subcommand_from $verbs" -a "$verbs"
complete -c streamhold -n "__fish_seen_subcommand_from app; and not __fish_seen_subcommand_from add list remove" -a "add list remove"
complete -c streamhold -n "__fish_seen_subcommand_from add remove login" -a "$platforms"
complete -c streamhold -n "__fish_seen_subcommand_from events; and not __fish_seen_subcommand_from tail list show" -a "tail list show"
complete -c streamhold -n "__fish_seen_subcommand_from tail" -s f -l follow -d "go on with what comes"
complete -c streamhold -n "__fish_seen_subcommand_from tail list" -l kind -x -a "follow subscription gift tip chat stream reward moderation account notice unknown" -d "only this kind"
complete -c streamhold -n "__fish_seen_subcommand_from tail list trigger" -l broadcaster -x -d "whose channel"
complete -c streamhold -n "__fish_seen_subcommand_from tail list" -l include -x -a "foreign synthetic quarantined" -d "also these"
complete -c streamhold -n "__fish_seen_subcommand_from token; and not __fish_seen_subcommand_from get allow deny" -a "get allow deny"
complete -c streamhold -n "__fish_seen_subcommand_from config; and not __fish_seen_subcommand_from check show schema template" -a "check show schema template"
complete -c streamhold -n "__fish_seen_subcommand_from check show" -F

complete -c streamhold -l config -r -F -d "read this config.json"
complete -c streamhold -l socket -r -F -d "the broker's socket"
complete -c streamhold -l system -d "the service of the machine"
complete -c streamhold -l json -d "answer in JSON"
complete -c streamhold -l no-color -d "no colours"
complete -c streamhold -s h -l help -d "show the help of a verb"
complete -c streamhold -s V -l version -d "show the version"
complete -c streamhold -n "__fish_seen_subcommand_from up" -s n -l check-only -d "check the configuration"
complete -c streamhold -n "__fish_seen_subcommand_from status" -l check -d "exit 7 when degraded"
complete -c streamhold -n "__fish_seen_subcommand_from add" -l client-id -x -d "the client id"
complete -c streamhold -n "__fish_seen_subcommand_from add" -l secret-stdin -d "read the secret from standard input"
complete -c streamhold -n "__fish_seen_subcommand_from add" -l scopes -x -d "scopes to ask for"
complete -c streamhold -n "__fish_seen_subcommand_from remove logout" -s y -l yes -d "do not ask"
complete -c streamhold -n "__fish_seen_subcommand_from login" -l adopt -d "store another account under its real name"
complete -c streamhold -n "__fish_seen_subcommand_from login" -l no-browser -d "do not open a browser"
complete -c streamhold -n "__fish_seen_subcommand_from login" -l qr -d "show the address as a QR code too"
complete -c streamhold -n "__fish_seen_subcommand_from login" -l paste -d "type the address back on which the browser ends"
complete -c streamhold -n "__fish_seen_subcommand_from login" -l device -d "type a code on another device"
complete -c streamhold -n "__fish_seen_subcommand_from login" -l timeout -x -d "how long to wait"
complete -c streamhold -n "__fish_seen_subcommand_from list" -l after -x -d "greater numbers only"
complete -c streamhold -n "__fish_seen_subcommand_from get exec" -l min-ttl -x -d "seconds to live yet"
complete -c streamhold -n "__fish_seen_subcommand_from get" -l header -d "as a header line"
complete -c streamhold -n "__fish_seen_subcommand_from tail list audit" -l limit -x -d "at most so many"
complete -c streamhold -n "__fish_seen_subcommand_from tail list" -l type -x -a "$types" -d "only this type"
complete -c streamhold -n "__fish_seen_subcommand_from accounts" -l ask -d "ask the platforms whether the logins are still good"
complete -c streamhold -n "__fish_seen_subcommand_from accounts tail list" -l platform -x -a "$platforms" -d "only this platform"
complete -c streamhold -n "__fish_seen_subcommand_from tail list" -l include-foreign -d "also events of other channels"
complete -c streamhold -n "__fish_seen_subcommand_from trigger" -a "$types"
complete -c streamhold -n "__fish_seen_subcommand_from trigger" -l count -x -d "so many"
complete -c streamhold -n "__fish_seen_subcommand_from trigger" -l as -x -a "bad-signature duplicate late foreign unknown-version" -d "odd in this way"
complete -c streamhold -n "__fish_seen_subcommand_from keystore" -a "status migrate rotate"
complete -c streamhold -n "__fish_seen_subcommand_from migrate" -l to -x -a "file secret-service" -d "where to"
