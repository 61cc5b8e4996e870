//! The process that has the privileges reads no byte that a client sent.
//!
//! strace watches from before the first line of the server on, under load of every kind of service.
//! Two looks at what it saw: the descriptor of every call that reads must be one of our own making,
//! and what the clients sent must not occur in any argument of any call.

use crate::harness::*;
use std::collections::HashSet;

/// What every client sends.
const SECRET: &str = "as secret as a password";

/// Clients of each kind for every address: enough for one who comes while another is served. Every process
/// is traced, which takes its time.
const ROUNDS: usize = 2;

/// Calls that bring bytes from a descriptor into memory.
const READING: [&str; 8] = [
    "read", "readv", "pread64", "preadv", "preadv2", "recvfrom", "recvmsg", "recvmmsg",
];

/// Other ways to get at bytes. The supervisor has no use for any.
const NEVER: [&str; 12] = [
    "splice",
    "tee",
    "vmsplice",
    "sendfile",
    "copy_file_range",
    "io_submit",
    "io_uring_setup",
    "io_uring_enter",
    "process_vm_readv",
    "process_madvise",
    "pidfd_getfd",
    "ptrace",
];

/// Every transport, for the built-in services.
const EVERYWHERE: &str = r#"listen = ["127.0.0.1:0", "[::1]:0", "udp:127.0.0.1:0", "udp:[::1]:0",
    "unix:{dir}/NAME", "unix-seqpacket:{dir}/NAME-seqpacket", "unix-dgram:{dir}/NAME-dgram"]"#;

/// Programs on every kind of socket, in every way of passing it.
const PROGRAMS: [(&str, &str); 17] = [
    ("cat", r#"command = ["/bin/cat"]"#),
    (
        "cat-unix",
        "listen = \"unix:{dir}/cat\"\ncommand = [\"/bin/cat\"]",
    ),
    (
        "cat-seqpacket",
        "listen = \"unix-seqpacket:{dir}/cat-seqpacket\"\ncommand = [\"/bin/cat\"]",
    ),
    (
        "full",
        "max_connections = 1\ncommand = [\"/bin/cat\"]\nstderr = \"null\"",
    ),
    (
        "logged",
        "command = [\"/bin/sh\", \"-c\", \"read line; echo heard >&2\"]\nstderr = \"log\"",
    ),
    (
        "passed",
        "pass = \"listen_fds\"\ncommand = [\"{probe}\", \"--to\", \"listen-fds\", \"--then\", \"drain\"]",
    ),
    (
        "wait",
        "wait = true\ncommand = [\"{probe}\", \"--to\", \"accepted\", \"--then\", \"drain\"]",
    ),
    (
        "wait-passed",
        "wait = true\npass = \"listen_fds\"\n\
         command = [\"{probe}\", \"--to\", \"listen-fds\", \"--then\", \"drain\"]",
    ),
    (
        "wait-udp",
        "listen = \"udp:127.0.0.1:0\"\ncommand = [\"{probe}\", \"--to\", \"sender\"]",
    ),
    (
        "wait-dgram",
        "listen = \"unix-dgram:{dir}/dgram\"\nuser = \"root\"\ncommand = [\"{probe}\", \"--to\", \"sender\"]",
    ),
    (
        "lazy",
        "wait = true\ncommand = [\"/bin/true\"]\nmax_connections = 1",
    ),
    ("pipe", "stdio = \"pipe\"\ncommand = [\"/bin/cat\"]"),
    (
        "pipe-unix",
        "listen = \"unix:{dir}/pipe\"\nstdio = \"pipe\"\nnewline = \"crlf\"\ncommand = [\"/bin/cat\"]",
    ),
    (
        "pty",
        "stdio = \"pty\"\nbanner = \"hello\"\ncommand = [\"/bin/cat\"]",
    ),
    (
        "raw",
        "pty = { raw = true }\nstderr = \"log\"\ncommand = [\"/bin/cat\"]",
    ),
    ("redirect", "redirect = \"unix:{dir}/echo\""),
    (
        "lazy-udp",
        "listen = \"udp:127.0.0.1:0\"\ncommand = [\"/bin/true\"]",
    ),
];

const BUILTINS: [&str; 5] = ["echo", "discard", "daytime", "time", "chargen"];

#[test]
fn the_supervisor_reads_no_byte_of_a_client() {
    if without_strace() {
        return;
    }
    let traces = Directory::new();
    let mut server = traced_server(&traces);
    let supervisor = server.pid();
    let worker = server
        .log()
        .wait_for(|line| line.event() == "worker-started")
        .number("pid");
    visit_all(&server);
    let cat = server.wait_start("cat").number("pid");
    let heard = |line: &Line| line.is("stderr", "logged");
    server.log().wait_for_many(ROUNDS, heard);
    server.leave_programs();
    server.stop();

    // strace learns of the end before we do, and writes it down in its own time.
    until("all of it was seen", || {
        Seen::by(&traces, u64::from(supervisor)).last() == "+++ exited with 0 +++"
    });
    let seen = Seen::by(&traces, u64::from(supervisor));
    assert_eq!(seen.reads_of_strangers(), Vec::<&String>::new());
    assert_eq!(seen.secrets(), Vec::<&String>::new());
    // The same looks at those who do read what clients send.
    assert!(Seen::by(&traces, cat).would_be_caught("TCP"));
    for kind in ["TCP", "TCPv6", "UDP", "UDPv6", "UNIX"] {
        let seen = Seen::by(&traces, worker);
        assert!(seen.would_be_caught(kind), "the worker's read from {kind}");
    }
}

/// Traced into one file for each process, from its first system call on, with our child's own pid.
fn traced_server(traces: &Directory) -> Server {
    let files = traces.join("trace");
    let calls = [&READING[..], &NEVER, &["socketpair", "pipe2"]]
        .concat()
        .join(",");
    let mut strace = vec!["strace", "-DD", "-ff", "--seccomp-bpf", "-yy", "-s", "512"];
    strace.extend(["-e", "signal=none", "-e", &calls, "-o", &files]);
    let programs = PROGRAMS
        .iter()
        .fold(server(), |server, (name, body)| server.service(name, body));
    let all = BUILTINS.iter().fold(programs, |server, name| {
        let listen = EVERYWHERE.replace("NAME", name);
        server.service(name, &format!("{listen}\nbuiltin = \"{name}\""))
    });
    all.wrapped_in(&strace).start()
}

/// Clients of every address of every service, all at once.
fn visit_all(server: &Server) {
    let names = PROGRAMS.iter().map(|(name, _)| *name).chain(BUILTINS);
    let mut clients = Vec::new();
    for name in names.flat_map(|name| [name; ROUNDS]) {
        for address in server.addresses(name) {
            if address.starts_with("udp:") || address.starts_with("unix-dgram:") {
                UdpClient::connect(&address, server.directory()).send(SECRET);
                continue;
            }
            let client = Client::connect(&address);
            client.send(SECRET).half_close();
            clients.push((name, client));
            let hasty = Client::connect(&address);
            hasty.send(SECRET);
            if !address.starts_with("unix") {
                hasty.reset();
            }
        }
    }
    let answered = clients.iter().filter(|(name, _)| *name != "lazy");
    answered.for_each(|(_, client)| drop(client.read(1024)));
}

/// What strace saw of one process.
struct Seen(Vec<String>);

impl Seen {
    fn by(traces: &Directory, pid: u64) -> Seen {
        Seen(lines_of(&traces.join(&format!("trace.{pid}"))))
    }

    fn last(&self) -> &str {
        self.0.last().expect("a line")
    }

    /// Calls that read from what is not ours: neither made by us for us, nor a file.
    fn reads_of_strangers(&self) -> Vec<&String> {
        let own = self.own();
        let strange = |line: &&String| {
            let (call, arguments) = line.split_once('(').unwrap_or((line, ""));
            let reads = READING.contains(&call) && !takes_nothing(call, arguments);
            NEVER.contains(&call) || reads && !is_ours(descriptor(arguments), &own)
        };
        self.0.iter().filter(strange).collect()
    }

    /// Pipes and socket pairs that this process has made.
    fn own(&self) -> HashSet<&str> {
        let made = self
            .0
            .iter()
            .filter(|line| line.starts_with("pipe2([") || line.starts_with("socketpair("));
        made.filter_map(|line| line.split_once('['))
            .flat_map(|(_, ends)| ends.split(", ").map(descriptor))
            .collect()
    }

    /// Calls in which the secret occurs.
    fn secrets(&self) -> Vec<&String> {
        self.0.iter().filter(|line| line.contains(SECRET)).collect()
    }

    /// Whether both looks would find that this process reads from a socket of this kind.
    fn would_be_caught(&self, kind: &str) -> bool {
        let secrets = self.secrets();
        self.reads_of_strangers()
            .iter()
            .any(|line| secrets.contains(line) && line.contains(&format!("<{kind}:[")))
    }
}

/// `5<TCP:[127.0.0.1:1->127.0.0.1:2]>, …` → `TCP:[127.0.0.1:1->127.0.0.1:2]`
fn descriptor(arguments: &str) -> &str {
    let number = arguments.find('<').map_or(0, |start| start + 1);
    let rest = &arguments[number..];
    let end = [">,", ">]", ">)"].iter().find_map(|end| rest.find(end));
    end.map_or(rest.trim_end_matches('>'), |end| &rest[..end])
}

/// Signals, our eventfd, files (a memory file's name begins so too), what we have made, what the kernel
/// tells of sockets, and the control socket: those who may command are no clients.
fn is_ours(descriptor: &str, own: &HashSet<&str>) -> bool {
    descriptor.starts_with('/')
        || ["anon_inode:[signalfd]", "anon_inode:[eventfd]"].contains(&descriptor)
        || own.contains(descriptor)
        || descriptor.starts_with("NETLINK:[SOCK_DIAG:")
        || descriptor.starts_with("UNIX-STREAM:[") && descriptor.ends_with("/control\"]")
}

/// A receive of no bytes asks only whether, and from whom, something is there.
fn takes_nothing(call: &str, arguments: &str) -> bool {
    call == "recvfrom" && arguments.contains(">, NULL, 0, ")
        || call == "recvmsg" && arguments.contains("msg_iovlen=0")
}
