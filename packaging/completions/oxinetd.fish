# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_oxinetd_global_optspecs
    string join \n h/help V/version
end

function __fish_oxinetd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_oxinetd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_oxinetd_using_subcommand
    set -l cmd (__fish_oxinetd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c oxinetd -n "__fish_oxinetd_needs_command" -s h -l help -d 'Print help'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -s V -l version -d 'Print version'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "serve" -d 'Serve the services of a table, in the foreground, until SIGTERM or SIGINT'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "check" -d 'Check a table: every mistake in it, or a line for each service'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "wrap" -d 'Serve one program, without a table, until SIGTERM or SIGINT'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "run" -d 'Run the program of a service on this terminal'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "status" -d 'Show what each service of the running server is doing and has done; of one service, everything'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "list" -d 'List the live connections, and the programs that wait on a socket of their own'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "add" -d 'Add a service to the table'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "remove" -d 'Take a service out of the table'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "enable" -d 'Offer a service again that is disabled'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "disable" -d 'No longer offer a service, and keep its entry'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "health" -d 'Say in one line whether all is well'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "events" -d 'Show what has happened lately, or what happens from now on: the events of the log'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "metrics" -d 'Write the counters of the running server as OpenMetrics text, for Prometheus and its like'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "reload" -d 'Have the running server read its table again, and wait until it is in force'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "pause" -d 'Take no more clients of a service; they wait in the kernel\'s queue. Sessions go on'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "resume" -d 'Take clients of a paused service again'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "drain" -d 'Pause a service and wait until its last session has ended. It stays paused'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "kill" -d 'End live sessions: one, those of a service, or those from an address'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "ban" -d 'Refuse clients of an address or prefix for a while, at every service; without one, list who is banned'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "unban" -d 'Let clients in again that were banned'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "explain" -d 'Tell whether a client would be let in now, and which rule and limit decide'
complete -c oxinetd -n "__fish_oxinetd_needs_command" -f -a "convert" -d 'Convert the table of another superserver: services.toml to standard output, and a report'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand serve" -s c -l config -d 'The table' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand serve" -l ready-fd -d 'Write a newline to this descriptor when all services listen' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand serve" -l drain-timeout -d 'On a signal to stop, give running programs so long (30s, 5m, 1h30m) to end by themselves before they are ended. Without it they are left alone' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand serve" -l control -d 'The control socket for the other commands, or none. Another server\'s is never taken: then this one ends with 75' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand check" -l json -d 'Write one JSON object to standard output instead'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -l user -d 'Run the program as this user (default: nobody when started by root, else you)' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -l max-connections -d 'Connections at once; more wait in the queue' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -l allow -d 'Who may come in, in any form that `allow` takes: 192.0.2.1, 192.0.2.0/24, 2001:db8::/32, uid:1000, unix, @FILE with a list. May be given several times; everybody else is refused' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -l deny -d 'Who may not, likewise. Of the entries that fit a client the most specific one decides' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -l max-per-source -d 'Connections at once from one address (IPv6: from one /64); more are refused' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -l rate -d 'Connections in a time: "50/s", "10/m burst 20"; more wait up to a second and are refused' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -l stderr -d 'Where standard error goes: client, log, null or file:/path' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -l stdio -d 'What the program finds as standard input and output: socket, pipe or pty (a terminal)' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -l drain-timeout -d 'On a signal to stop, give running programs so long (30s, 5m) to end by themselves' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -l ready-fd -d 'Write a newline to this descriptor when the service listens' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -l control -d 'Make a control socket here, for the other commands' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -l wait -d 'Give the program the listening socket itself, one program at a time (always so for udp:)'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand wrap" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand run" -s c -l config -d 'The table' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand status" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand status" -l json -d 'Write one JSON object'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand list" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand list" -l json -d 'Write one JSON object'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand add" -l listen -d 'Where to listen, in any form that `listen` takes: 79, 127.0.0.1:79, udp:79, unix:/run/x' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand add" -l user -d 'Run the program as this user; digits are an id (default: nobody when served by root)' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand add" -l builtin -d 'Speak a protocol of oxinetd\'s own: echo, discard, chargen, daytime or time' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand add" -l set -d 'Any other key of a service, in TOML: \'stderr="log"\', max_connections=20' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand add" -s c -l config -d 'The table' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand add" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand add" -l dry-run -d 'Show the lines that would change, and write nothing'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand add" -l no-reload -d 'Do not ask the server to read the table again'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand add" -l json -d 'Write one JSON object to standard output instead'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand remove" -s c -l config -d 'The table' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand remove" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand remove" -l dry-run -d 'Show the lines that would change, and write nothing'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand remove" -l no-reload -d 'Do not ask the server to read the table again'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand remove" -l json -d 'Write one JSON object to standard output instead'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand enable" -s c -l config -d 'The table' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand enable" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand enable" -l dry-run -d 'Show the lines that would change, and write nothing'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand enable" -l no-reload -d 'Do not ask the server to read the table again'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand enable" -l json -d 'Write one JSON object to standard output instead'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand enable" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand disable" -s c -l config -d 'The table' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand disable" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand disable" -l dry-run -d 'Show the lines that would change, and write nothing'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand disable" -l no-reload -d 'Do not ask the server to read the table again'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand disable" -l json -d 'Write one JSON object to standard output instead'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand disable" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand health" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand health" -l json -d 'Write one JSON object'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand health" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand events" -l service -d 'Of this service only (may be given several times)' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand events" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand events" -s f -l follow -d 'Show what happens from now on, until interrupted'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand events" -l json -d 'Write each event as a JSON object'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand metrics" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand metrics" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand reload" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand reload" -l dry-run -d 'Only show what would change'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand reload" -l json -d 'Write one JSON object'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand pause" -l for -d 'Go on after so long (30s, 10m, 1h30m); without it when told to (oxinetd resume)' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand pause" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand pause" -l json -d 'Write the answer as one JSON object'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand pause" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand resume" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand resume" -l json -d 'Write the answer as one JSON object'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand drain" -l timeout -d 'Wait so long at most (30s, 5m, 1h30m)' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand drain" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand drain" -l json -d 'Write the answer as one JSON object'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand drain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand kill" -l service -d 'All sessions of this service' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand kill" -l from -d 'All sessions from this address or prefix' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand kill" -l signal -d 'What programs are sent' -r -f -a "TERM\t''
KILL\t''
HUP\t''
INT\t''"
complete -c oxinetd -n "__fish_oxinetd_using_subcommand kill" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand kill" -l json -d 'Write the answer as one JSON object'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand kill" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand ban" -l for -d 'For so long (30s, 10m, 1h30m; default: 1h)' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand ban" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand ban" -l json -d 'Write the answer as one JSON object'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand ban" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand unban" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand unban" -l json -d 'Write the answer as one JSON object'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand unban" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand explain" -l from -d 'The client: an address, or uid:1000 for a user of this host over a Unix socket' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand explain" -l control -d 'The server\'s control socket, if it is not the usual one (or OXINETD_CONTROL)' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand explain" -l json -d 'Write the answer as one JSON object'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand convert" -l dialect -d 'Whose inetd.conf it is, where that is not to be guessed: debian, openbsd, netbsd, freebsd, gnu, busybox' -r
complete -c oxinetd -n "__fish_oxinetd_using_subcommand convert" -l hosts-allow -d 'The hosts.allow that xinetd or tcpd asks: its rules become allow and deny; /dev/null for none' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand convert" -l hosts-deny -d 'The hosts.deny that belongs to it; /dev/null for none' -r -F
complete -c oxinetd -n "__fish_oxinetd_using_subcommand convert" -l drop-in -d 'Write a table for services.d, which the main one includes: services only, no [server] or [defaults]'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand convert" -l brief -d 'Leave out of the report what is kept'
complete -c oxinetd -n "__fish_oxinetd_using_subcommand convert" -s h -l help -d 'Print help (see more with \'--help\')'
