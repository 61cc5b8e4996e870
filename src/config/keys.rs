//! Every key of `services.toml`: the one list that the reader, its hints and the manual share.
//!
//! A test proves that the reader asks for exactly these keys, and that every example is right.

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Where it may be written.
    pub section: Section,
    /// Whether it means nothing to a built-in service.
    pub is_for_programs: bool,
    /// What it takes, in words that follow "takes".
    pub takes: &'static str,
    /// What holds without it, in words.
    pub default: &'static str,
    /// What it does: a paragraph.
    pub help: &'static str,
    /// A line that could stand in a table.
    pub example: &'static str,
}

/// Where a key may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `[server]`.
    Server,
    /// `[service.NAME]`.
    Service,
    /// `[service.NAME]`, and `[defaults]` for all services that it applies to.
    ServiceOrDefaults,
}

/// A part of the table with keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `[server]`.
    Server,
    /// `[defaults]`.
    Defaults,
    /// `[service.NAME]`.
    Service,
}

impl Key {
    /// Whether it may be written there.
    pub fn belongs_in(&self, part: Part) -> bool {
        match part {
            Part::Server => self.section == Section::Server,
            Part::Defaults => self.section == Section::ServiceOrDefaults,
            Part::Service => self.section != Section::Server,
        }
    }
}

impl Part {
    /// Its header.
    pub fn header(self) -> &'static str {
        match self {
            Part::Server => "[server]",
            Part::Defaults => "[defaults]",
            Part::Service => "[service.NAME]",
        }
    }
}

/// The keys that may be written there.
pub fn keys_of(part: Part) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.belongs_in(part))
}

/// The key of this name there.
pub fn find(name: &str, part: Part) -> Option<&'static Key> {
    keys_of(part).find(|key| key.name == name)
}

const fn server(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    example: &'static str,
    help: &'static str,
) -> Key {
    Key {
        name,
        section: Section::Server,
        is_for_programs: false,
        takes,
        default,
        help,
        example,
    }
}

const fn service(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    example: &'static str,
    help: &'static str,
) -> Key {
    Key {
        name,
        section: Section::Service,
        is_for_programs: false,
        takes,
        default,
        help,
        example,
    }
}

const fn any(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    example: &'static str,
    help: &'static str,
) -> Key {
    Key {
        name,
        section: Section::ServiceOrDefaults,
        is_for_programs: false,
        takes,
        default,
        help,
        example,
    }
}

const fn program(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    example: &'static str,
    help: &'static str,
) -> Key {
    Key {
        is_for_programs: true,
        ..any(name, takes, default, example, help)
    }
}

/// All keys, in the order of the manual.
pub const KEYS: &[Key] = &[
    server(
        "include",
        "a file name pattern, or an array of them",
        "no other files",
        r#"include = ["services.d/*.toml"]"#,
        "Reads the services in these files too. A name is relative to the directory of the table; * and ? \
         stand for any characters in its last part. Only regular files whose names end in .toml and do not \
         begin with a dot are read, in the order of their names. They \
         may contain [service.NAME] sections, and a [server] section with inetd_conf and pid_file, for which the main \
         file's come first.",
    ),
    server(
        "inetd_conf",
        "an absolute path",
        "none",
        r#"inetd_conf = "/etc/inetd.conf""#,
        "Serves the lines of this table of inetd too, see inetd.conf(5); a reload reads it again. A line means what it \
         means to Debian's openbsd-inetd (or another inetd whose forms it has), with [defaults] where it says nothing: \
         tcp is IPv4 and IPv6, lines behind #<off># are off, and setuid bits are in force. A wrong line is a warning, \
         and only that line is left out. A service that both tables name is served as services.toml says. With it the \
         process is called inetd: update-inetd sends its signal to nobody else.",
    ),
    server(
        "pid_file",
        "an absolute path",
        "none",
        r#"pid_file = "/run/inetd.pid""#,
        "Where the server's process id is written once all services listen, for programs that send it SIGHUP, such as \
         update-inetd. What was there is replaced, never written through; at the end the file is removed, if it is \
         still the server's own.",
    ),
    server(
        "control",
        "an absolute path, or \"none\"",
        "\"/run/oxinetd/control\"; for others than root in their own run-time directory",
        r#"control = "/run/oxinetd/control""#,
        "The Unix socket through which the commands reach the server (status, reload, ban and so on), or \"none\" to do \
         without. Root and the server's own user may do everything, members of the group oxinetd may look.",
    ),
    server(
        "log",
        "\"stderr\", \"syslog\" or \"file:/PATH\"",
        "\"stderr\"",
        r#"log = "file:/var/log/oxinetd.log""#,
        "Where the log goes: to standard error (which systemd keeps in its journal), to the system's log daemon at \
         /dev/log (facility daemon), or to a file that is opened again on SIGUSR1. A log that does not take its lines \
         never delays a client: a megabyte of them is kept, more are lost, and their number is told later.",
    ),
    server(
        "log_format",
        "\"text\" or \"json\"",
        "\"text\"",
        r#"log_format = "json""#,
        "How a line of the log is written: as words for people, or as a JSON object for programs.",
    ),
    server(
        "log_address",
        "\"full\", \"prefix\" or \"none\"",
        "\"full\"",
        r#"log_address = "prefix""#,
        "How much of a client's address the log and oxinetd events show: all of it; its network, such as 192.0.2.0/24 \
         or 2001:db8:1::/48, of a Unix client the user; or nothing. oxinetd list shows all of it always.",
    ),
    server(
        "max_connections",
        "an integer from 1 to 1000000",
        "10000",
        "max_connections = 10000",
        "Programs that may run at the same time, over all services. What comes beyond waits in the kernel's queue.",
    ),
    server(
        "max_worker_connections",
        "an integer from 1 to 1000000",
        "4096",
        "max_worker_connections = 4096",
        "Connections that all built-in services together may hold at the same time. Beyond that, the one that has been idle \
         for the longest time is ended (evicted) to make way for a new one.",
    ),
    server(
        "worker_user",
        "a user name in quotes, or a user id",
        "\"oxinetd\"",
        r#"worker_user = "oxinetd""#,
        "The user that the built-in services run as. Give it a user of its own: whoever has the same user id \
         can kill it. Where the user does not exist, the unassigned id 65533 is used. A reload changes it for the \
         next worker only: to replace the one that runs would end its sessions.",
    ),
    service(
        "listen",
        "a port, an address in quotes, or an array of them",
        "none: every service needs one",
        r#"listen = [13, "udp:127.0.0.1:13"]"#,
        "Where clients find the service: a port (on all IPv4 and IPv6 addresses of the host), its name from \
         /etc/services, \"ADDRESS:PORT\", \"[IPV6]:PORT\", \"HOST:PORT\", or \"unix:/PATH\". TCP unless a prefix says \
         otherwise: tcp: tcp4: tcp6: udp: udp4: udp6: unix: unix-dgram: unix-seqpacket:. A Unix socket that \
         begins with @ is an abstract one. Port 0 lets the kernel choose. \"systemd:NAME\" is a socket that \
         systemd hands to the server at its start, from a unit with that name or FileDescriptorName=.",
    ),
    service(
        "command",
        "an array: the program's absolute path, then its arguments",
        "none: a service has either this, builtin or redirect",
        r#"command = ["/usr/sbin/in.fingerd", "-w"]"#,
        "The program that serves a client. Each argument is an element of its own; there is no shell.",
    ),
    service(
        "builtin",
        "\"echo\", \"discard\", \"chargen\", \"daytime\" or \"time\"",
        "none: a service has either this, command or redirect",
        r#"builtin = "daytime""#,
        "A protocol that oxinetd speaks itself, in its unprivileged worker process.",
    ),
    any(
        "keepalive",
        "true, false or a table of idle, interval and count",
        "true, with the system's times; with kill_on_disconnect idle and interval are 10s, and count is 3",
        r#"keepalive = { idle = "2m", interval = "10s", count = 4 }"#,
        "Whether TCP clients that are silent are asked if they are still there, so that one that has vanished is noticed: \
         after idle, then every interval; after count questions without an answer the connection is over. What is left \
         out is the system's own (net.ipv4.tcp_keepalive_time and so on; idle is two hours there).",
    ),
    any(
        "user_timeout",
        "a duration from \"1s\" to \"24d\"",
        "the system's own: about a quarter of an hour",
        r#"user_timeout = "30s""#,
        "How long what was sent to a TCP client may stay unacknowledged before the connection is over. It also takes the \
         place of count in keepalive.",
    ),
    any(
        "nodelay",
        "true or false",
        "false",
        "nodelay = true",
        "Whether small pieces that the program writes are sent to a TCP client at once (TCP_NODELAY).",
    ),
    any(
        "backlog",
        "an integer from 1 to 65535",
        "as many as the system allows (net.core.somaxconn)",
        "backlog = 64",
        "Connections that may wait in the kernel's queue to be accepted.",
    ),
    any(
        "freebind",
        "true or false",
        "false",
        "freebind = true",
        "Whether an address is bound that this host does not have yet: one that a failover is to bring, or an interface \
         that comes up later.",
    ),
    any(
        "bind_device",
        "the name of a network interface, in quotes",
        "none: packets may come by any",
        r#"bind_device = "eth0""#,
        "The network interface that clients must come by (SO_BINDTODEVICE), whatever address they use: loopback too is \
         an interface of its own. A reload changes it in place.",
    ),
    any(
        "socket_user",
        "a user name in quotes, or a user id",
        "whoever started oxinetd",
        r#"socket_user = "www-data""#,
        "The owner of the service's Unix sockets in the file system. Only root may choose. This and the two keys below \
         are changed in place by a reload.",
    ),
    any(
        "socket_group",
        "a group name in quotes, or a group id",
        "the group of whoever started oxinetd",
        r#"socket_group = "adm""#,
        "The group of the service's Unix sockets in the file system.",
    ),
    any(
        "socket_mode",
        "octal digits in quotes, from \"000\" to \"777\"",
        "\"666\": everybody may connect",
        r#"socket_mode = "660""#,
        "The permissions of the service's Unix sockets in the file system: who may write may connect. They hold before \
         anybody can.",
    ),
    service(
        "redirect",
        "a string like \"HOST:PORT\" or \"unix:/PATH\"",
        "none: a service has either this, command or builtin",
        r#"redirect = "192.0.2.8:80""#,
        "Another server, that clients are passed on to: the unprivileged worker process connects to it and passes on what \
         both say, until both have ended. Names are looked up when the table is read; all addresses are kept, and \
         tried in order, each for 5 seconds. Only for connections, which end when the server stops. Without max_lifetime \
         and idle_timeout a silent one lasts until both sides have ended.",
    ),
    Key {
        is_for_programs: true,
        ..service(
            "argv0",
            "a string",
            "the program's path",
            r#"argv0 = "in.fingerd""#,
            "The name that the program is told it was called by (its argument 0). tcpd and multi-call programs \
             decide by it what to do.",
        )
    },
    any(
        "enabled",
        "true or false",
        "true",
        "enabled = false",
        "Whether the service is offered. A service that is not is still checked.",
    ),
    service(
        "description",
        "a string",
        "none",
        r#"description = "Who is logged in here""#,
        "A sentence for people about what the service is.",
    ),
    service(
        "override",
        "true or false",
        "false",
        "override = true",
        "In an included file: this entry takes the place of the one of the same name that came before it. Without \
         it, a name that comes twice is a mistake.",
    ),
    any(
        "max_connections",
        "an integer from 1 to 1000000",
        "128",
        "max_connections = 40",
        "Connections that the service may have at the same time (for wait = true: programs). What comes beyond \
         waits in the kernel's queue.",
    ),
    any(
        "allow",
        "an address or prefix in quotes, or an array of them",
        "everybody",
        r#"allow = ["192.0.2.0/24", "2001:db8::/32", "@/etc/oxinetd/friends"]"#,
        "Who may come in: addresses, prefixes, over Unix sockets \"uid:1000\" or \"unix\" for all users, and \"@FILE\" for \
         the entries in a file, one a line, with # before comments; its name is relative to the directory of the table. \
         Everybody else is refused. Of several entries that fit a client the most specific one decides. Names are no \
         entries, since they can be forged.",
    ),
    any(
        "deny",
        "an address or prefix in quotes, or an array of them",
        "nobody",
        r#"deny = ["198.51.100.7", "@/etc/oxinetd/enemies"]"#,
        "Who may not come in, in the forms that allow takes. Without allow everybody else may. Where an entry of allow is \
         as specific, deny wins.",
    ),
    any(
        "exempt",
        "an address or prefix in quotes, or an array of them",
        "nobody",
        r#"exempt = "192.0.2.10""#,
        "Whom limits, rates, shares and bans do not hold for, in the forms that allow takes: a monitor or a balancer. \
         deny still holds. With it the others are refused when the service is full.",
    ),
    any(
        "when_full",
        "\"queue\" or \"refuse\"",
        "\"queue\"; \"refuse\" with exempt",
        r#"when_full = "refuse""#,
        "What becomes of clients that come while the service has max_connections: they wait in the kernel's queue, \
         or are refused.",
    ),
    any(
        "max_per_source",
        "an integer from 1 to 1000000",
        "a fair share",
        "max_per_source = 4",
        "Connections that one source may have at the same time; a client beyond is refused. Without it, while fewer \
         than a quarter of max_connections are free, a source that has a quarter of them is refused, so that the last \
         ones are left for others.",
    ),
    any(
        "source_prefix",
        "a table of bits for v4 and v6",
        "{ v4 = 32, v6 = 64 }",
        "source_prefix = { v4 = 24, v6 = 56 }",
        "What counts as one source: addresses that begin with the same bits. A network at home commonly has a whole \
         /64 or /56 of IPv6. Over Unix sockets each user is a source.",
    ),
    any(
        "rate",
        "a string like \"50/s\" or \"50/s burst 200\"",
        "no limit",
        r#"rate = "50/s burst 200""#,
        "Connections (for built-in services over UDP: datagrams; for wait = true: starts) in a second, minute, hour \
         or day: /s /m /h /d. After a rest so many as burst may come at once; without it, those of a second. Those \
         beyond wait for up to a second, and are then refused.",
    ),
    any(
        "rate_per_source",
        "a string like \"10/m\" or \"10/m burst 20\"",
        "no limit",
        r#"rate_per_source = "10/m burst 20""#,
        "The same for each source; a client beyond is refused.",
    ),
    any(
        "hours",
        "a string like \"mon-fri 08:00-18:00\", or an array of them",
        "always",
        r#"hours = ["mon-fri 08:00-18:00", "sat 10:00-12:00"]"#,
        "When the service is open, by the local clock of 24 hours; at other times clients are refused. Days are sun mon \
         tue wed thu fri sat; without them every day is meant. \"22:00-06:00\" ends on the next day.",
    ),
    any(
        "refusal",
        "a string, or a table of strings by reason",
        "nothing: the connection is closed",
        r#"refusal = { full = "%s is busy, come back later\r\n", any = "no\r\n" }"#,
        "What clients are told that are refused: %a is the client's address, %s the service's name, %% a percent \
         sign. The reasons are denied, banned, hours, full, server_full, max_per_source, share, rate and \
         rate_per_source; any is for all that have no text of their own.",
    ),
    program(
        "wait",
        "true or false",
        "true for datagrams (udp:, unix-dgram:), else false",
        "wait = true",
        "Whether the program is given the listening socket itself, and accepts all clients or reads all datagrams \
         until it ends. Otherwise oxinetd accepts and starts one program for each connection.",
    ),
    program(
        "pass",
        "\"stdio\" or \"listen_fds\"",
        "\"stdio\"",
        r#"pass = "listen_fds""#,
        "How the program is given its socket: as standard input and output, or as descriptor 3 and up by systemd's \
         protocol, with LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES.",
    ),
    program(
        "stdio",
        "\"socket\", \"pipe\" or \"pty\"",
        "\"socket\"; \"pty\" with pty",
        r#"stdio = "pipe""#,
        "What the program finds as standard input and output: the client's socket itself; pipes, as in a pipeline of a \
         shell; or a terminal of its own, with line editing, job control and a hang-up. Between pipes or terminal and \
         the client the unprivileged worker process passes on what both say. Programs that open /dev/stdin or \
         /dev/stdout, or that treat a socket in their own way, need pipes; those that answer line by line only to a \
         person, or that draw on the screen, need a terminal. A client that ends its direction (nc -N) still gets the \
         answer. Such connections end when the server stops.",
    ),
    program(
        "pty",
        "a table of term, rows, columns, raw and echo",
        "{ term = \"xterm\", rows = 24, columns = 80, raw = false, echo = true }",
        r#"pty = { term = "vt100", echo = false }"#,
        "What the terminal of stdio = \"pty\" is like, and stands for that by itself: TERM, its size, whether it shows what is \
         typed. With raw bytes pass as they are, for clients that are terminals themselves (socat -,raw,echo=0). A \
         client that says no more (nc -N) is an end of file (Ctrl-D) to a program that reads lines, and has its answer \
         however long that takes. To a program that reads keys, and on a raw terminal, nothing stands for the end: it is \
         hung up when it has said nothing for ten seconds.",
    ),
    program(
        "newline",
        "\"lf\" or \"crlf\"",
        "\"lf\": nothing is changed",
        r#"newline = "crlf""#,
        "How lines end for clients: with \"crlf\" those of the program, which end in LF, are sent with CRLF, and CRLF and \
         CR NUL from the client become LF. Needs stdio = \"pipe\" or \"pty\".",
    ),
    program(
        "banner",
        "a string",
        "nothing",
        r#"banner = "Authorized use only.\r\n""#,
        "What clients are sent before anything that the program says: up to 2048 bytes, as they are written here.",
    ),
    program(
        "stderr",
        "\"client\", \"log\", \"null\" or \"file:/PATH\"",
        "\"client\"; \"log\" for pass = \"listen_fds\"",
        r#"stderr = "log""#,
        "Where the program's standard error goes: to the client, line by line to oxinetd's log, nowhere, or to the \
         end of a file.",
    ),
    program(
        "account",
        "true or false",
        "false",
        "account = true",
        "Whether the log tells how many bytes a TCP connection received and sent. The kernel is asked when the \
         connection is gone, and may have forgotten when many end at once; what a client that closes first has sent may be told as one \
         byte more. Built-in services count always.",
    ),
    program(
        "max_lifetime",
        "a duration from \"1s\" to \"365d\"",
        "no limit",
        r#"max_lifetime = "1h""#,
        "How long a connection may last, whatever happens; one of a redirect is closed then. Else its program, and what that has started, is asked to end \
         (SIGTERM and SIGCONT), and after grace it is ended (SIGKILL): daemons that it has started too. Each connection \
         gets a control group for that where a cgroup v2 is delegated to the server (under systemd: Delegate=yes); \
         elsewhere they are found by process group and /proc, and a daemon that has left both session and \
         environment behind is not. What a program leaves behind when it ends stays under the limit.",
    ),
    program(
        "idle_timeout",
        "a duration from \"1s\" to \"365d\"",
        "no limit",
        r#"idle_timeout = "10m""#,
        "How long a TCP connection may move nothing: the client sends nothing and takes nothing. Then it is ended as with \
         max_lifetime. The kernel's counters tell, asked every quarter of that time; a Unix socket has none. Of a \
         redirect the worker counts itself, over Unix sockets too.",
    ),
    program(
        "first_byte_timeout",
        "a duration from \"1s\" to \"365d\"",
        "no limit",
        r#"first_byte_timeout = "20s""#,
        "How long a TCP client may take to send its first byte. Then the connection is ended as with max_lifetime. Only \
         for protocols in which the client speaks first.",
    ),
    program(
        "kill_on_disconnect",
        "true or false",
        "false",
        "kill_on_disconnect = true",
        "Whether a program is ended, as with max_lifetime, when its TCP connection is over: reset, timed out (see \
         keepalive and user_timeout), or closed by both sides. It is looked at once a second. A client that has closed \
         its own direction only, such as nc -N, still gets its answer. One that has closed both looks the same until its \
         system says so when it is asked by keepalive: on Linux about a minute later.",
    ),
    program(
        "grace",
        "a duration from \"1s\" to \"365d\"",
        "\"5s\"",
        r#"grace = "10s""#,
        "How long a program may take to end when a limit of its connection asks it to.",
    ),
    program(
        "user",
        "a user name in quotes, or a user id",
        "\"nobody\"; whoever started oxinetd, unless that was root",
        r#"user = "www-data""#,
        "Whom the program runs as. Text is always a name and a number always an id. Only root may choose. A service \
         with a user of its own takes neither group nor supplementary_groups from [defaults].",
    ),
    program(
        "group",
        "a group name in quotes, or a group id",
        "the user's group",
        r#"group = "mail""#,
        "The program's primary group.",
    ),
    program(
        "supplementary_groups",
        "an array of group names in quotes, or group ids",
        "the user's groups",
        r#"supplementary_groups = ["mail", 1000]"#,
        "The program's other groups: exactly these. [] is none.",
    ),
    program(
        "umask",
        "octal digits in quotes, from \"000\" to \"777\"",
        "\"022\"",
        r#"umask = "027""#,
        "Permissions that files made by the program do not get.",
    ),
    program(
        "nice",
        "an integer from -20 to 19",
        "the server's own",
        "nice = 10",
        "The program's priority: the higher, the more it leaves to others. Only root may go below 0.",
    ),
    program(
        "directory",
        "an absolute path",
        "\"/\"",
        r#"directory = "/srv/www""#,
        "The directory that the program starts in; inside chroot where that is set.",
    ),
    program(
        "chroot",
        "an absolute path",
        "none",
        r#"chroot = "/srv/jail""#,
        "The directory that is / for the program. Its path, directory and libraries are looked for there. Needs root.",
    ),
    program(
        "env",
        "a table of strings",
        "no other variables",
        r#"env = { TZ = "UTC" }"#,
        "Environment variables for the program, besides PATH, USER and the like and those that tell of the \
         connection. Those of [defaults] hold too, unless the service sets the same names.",
    ),
    program(
        "pass_env",
        "an array of variable names",
        "none",
        r#"pass_env = ["LC_TIME"]"#,
        "Variables of the server's own environment that the program gets, where they are set. Those in env win.",
    ),
    program(
        "no_new_privileges",
        "true or false",
        "true, unless the user is root",
        "no_new_privileges = false",
        "Whether setuid bits are void for the program and all that it starts. Programs like su and sudo need false.",
    ),
    program(
        "limits",
        "a table of limits",
        "the server's own",
        r#"limits = { nofile = 256, cpu = "10s", as = ["1G", "2G"], core = 0 }"#,
        "Resource limits: as, core, data, fsize, memlock and stack in bytes (\"64K\", \"1G\"), cpu in seconds \
         (\"10s\", \"1m\"), nofile and nproc in numbers; \"unlimited\", or an array of the soft and the hard limit. \
         Those of [defaults] hold too, unless the service sets the same ones.",
    ),
];
