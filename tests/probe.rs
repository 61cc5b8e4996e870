//! A program that prints the world it was given: what a superserver hands to its children, as text
//! that a test can compare with a file.
//!
//! ```text
//! probe [--only FACT,…] [--except FACT,…] [--to HOW] [--stderr TEXT] [--then WHAT]… [--exit N]
//! ```
//!
//! It looks first and writes afterwards, all at once. Facts come in the order of [`FACTS`]; control
//! characters, backslashes and bytes above 126 are written `\xNN`. It owns `main` itself, because
//! Rust's start-up code ignores SIGPIPE, catches SIGSEGV and opens 0 to 2 where they are closed:
//! changes to the very world that is to be reported. System calls are preferred to `/proc`, which a
//! chroot lacks. What cannot be found out is reported as an errno's name; the probe never fails.
//!
//! `--to` says where the report goes: `stdout` (the default: descriptor 1), `accepted` (accept one
//! connection on 0 and use that), `sender` (receive one datagram on 0 and answer it), `listen-fds`
//! (the same on the first of the LISTEN_FDS sockets that has something, or straight to it when it is
//! a connection), `none`.
//!
//! `--then` acts, in the order given: `echo` (copy 0, or what was accepted, until its end), `drain`
//! (read that until its end), `pause` (for ever), `abort`; and what spoils a socket on 0 for whoever
//! has it next: `shutdown`, `connect` (to UDP port 9 of 127.0.0.1), `filter` (that lets nothing
//! through), `nonblock`.

#![no_main]
#![allow(unsafe_code, reason = "the facts are asked of the kernel itself")]
#![allow(
    clippy::unnecessary_cast,
    reason = "musl gives these numbers another type"
)]

use std::ffi::{CStr, OsString};
use std::mem::{MaybeUninit, size_of, zeroed};
use std::os::unix::ffi::OsStringExt;

/// Collects the lines of one fact.
type Fact = fn(&mut Vec<String>);

/// Every fact, in the order of the report.
const FACTS: [(&str, Fact); 24] = [
    ("argv", argv),
    ("env", env),
    ("uid", uid),
    ("gid", gid),
    ("groups", groups),
    ("capabilities", capabilities),
    ("no_new_privs", no_new_privs),
    ("seccomp", seccomp),
    ("signals", signals),
    ("fds", fds),
    ("same", same),
    ("umask", umask),
    ("cwd", cwd),
    ("root", root),
    ("nice", nice),
    ("session", session),
    ("limits", limits),
    ("timers", timers),
    ("oom_score_adj", oom_score_adj),
    ("parent_death_signal", parent_death_signal),
    ("dumpable", dumpable),
    ("personality", personality),
    ("scheduler", scheduler),
    ("comm", comm),
];

/// The command line.
struct Options {
    only: Option<Vec<String>>,
    except: Vec<String>,
    to: String,
    stderr: Option<String>,
    then: Vec<String>,
    exit: i32,
}

/// The entry point that the C runtime calls.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: i32, _argv: *const *const u8) -> i32 {
    let options = match options() {
        Ok(options) => options,
        Err(complaint) => {
            write_all(2, format!("probe: {complaint}\n").as_bytes());
            return 64;
        }
    };
    let report = report(&options);
    let client = deliver(&options.to, report.as_bytes());
    if let Some(text) = &options.stderr {
        write_all(2, format!("{text}\n").as_bytes());
    }
    options.then.iter().for_each(|what| act(what, client));
    options.exit
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        only: None,
        except: Vec::new(),
        to: "stdout".into(),
        stderr: None,
        then: Vec::new(),
        exit: 0,
    };
    let mut words = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned());
    while let Some(option) = words.next() {
        let value = words.next().ok_or(format!("{option} needs a value"))?;
        match option.as_str() {
            "--only" => options.only = Some(facts_named(&value)?),
            "--except" => options.except = facts_named(&value)?,
            "--to" => options.to = value,
            "--stderr" => options.stderr = Some(value),
            "--then" => options.then.push(value),
            "--exit" => options.exit = value.parse().map_err(|_| "--exit needs a number")?,
            _ => return Err(format!("unknown option {option}")),
        }
    }
    Ok(options)
}

/// The names in a list, each of which must be a fact: a misspelt one would silently test nothing.
fn facts_named(list: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = list
        .split(',')
        .filter(|name| !name.is_empty())
        .map(String::from)
        .collect();
    match names
        .iter()
        .find(|name| FACTS.iter().all(|(fact, _)| fact != name))
    {
        Some(name) => Err(format!("no fact is called {name}")),
        None => Ok(names),
    }
}

fn report(options: &Options) -> String {
    let mut lines = Vec::new();
    for (name, look) in FACTS {
        let wanted = options
            .only
            .as_ref()
            .is_none_or(|only| only.iter().any(|fact| fact == name));
        if wanted && !options.except.iter().any(|fact| fact == name) {
            look(&mut lines);
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

// Where the report goes.

/// Sends the report and returns the descriptor on which the client can be heard.
fn deliver(to: &str, report: &[u8]) -> i32 {
    match to {
        "accepted" => answer_connection(0, report),
        "sender" => answer_datagram(0, report),
        "listen-fds" => answer_listen_fds(report),
        "stdout" => {
            write_all(1, report);
            0
        }
        _ => 0,
    }
}

fn answer_connection(listener: i32, report: &[u8]) -> i32 {
    // SAFETY: null pointers ask for no address.
    let client = unsafe { libc::accept(listener, std::ptr::null_mut(), std::ptr::null_mut()) };
    write_all(client, report);
    client
}

fn answer_datagram(socket: i32, report: &[u8]) -> i32 {
    let mut buffer = [0_u8; 65536];
    // SAFETY: an address of zeros is a valid sockaddr_storage.
    let mut from: libc::sockaddr_storage = unsafe { zeroed() };
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: buffer, address and length are ours and as large as is said.
    unsafe {
        libc::recvfrom(
            socket,
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            0,
            (&raw mut from).cast(),
            &raw mut length,
        );
        libc::sendto(
            socket,
            report.as_ptr().cast(),
            report.len(),
            0,
            (&raw const from).cast(),
            length,
        );
    }
    socket
}

/// The client's half of sd_listen_fds(3).
fn answer_listen_fds(report: &[u8]) -> i32 {
    let count = std::env::var("LISTEN_FDS")
        .ok()
        .and_then(|n| n.parse::<i32>().ok())
        .unwrap_or(0);
    let mut polled: Vec<libc::pollfd> = (3..3 + count)
        .map(|fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    if let [only] = polled[..] {
        let connected = option(only.fd, libc::SOL_SOCKET, libc::SO_TYPE) != Ok(libc::SOCK_DGRAM)
            && option(only.fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN) == Ok(0);
        if connected {
            write_all(only.fd, report);
            return only.fd;
        }
    }
    // SAFETY: the array is ours and as long as is said.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
    let Some(ready) = polled.iter().find(|poll| poll.revents != 0) else {
        return 0;
    };
    match option(ready.fd, libc::SOL_SOCKET, libc::SO_TYPE) {
        Ok(libc::SOCK_DGRAM) => answer_datagram(ready.fd, report),
        _ => answer_connection(ready.fd, report),
    }
}

fn act(what: &str, client: i32) {
    match what {
        "echo" | "drain" => {
            let mut buffer = [0_u8; 65536];
            loop {
                // SAFETY: the buffer is ours and as large as is said.
                let got = unsafe { libc::read(client, buffer.as_mut_ptr().cast(), buffer.len()) };
                match usize::try_from(got) {
                    Err(_) | Ok(0) => break,
                    Ok(_) if what == "drain" => {}
                    Ok(got) => write_all(if client == 0 { 1 } else { client }, &buffer[..got]),
                }
            }
        }
        "pause" => loop {
            // SAFETY: takes nothing, touches nothing.
            unsafe { libc::pause() };
        },
        "background" => serve_in_background(),
        "abort" => std::process::abort(),
        "shutdown" | "connect" | "filter" | "nonblock" => spoil(what),
        _ => write_all(2, format!("probe: --then {what}?\n").as_bytes()),
    }
}

/// Leaves the listener on 0 to a child that takes all clients, as daemons do, and ends.
fn serve_in_background() {
    // SAFETY: there is one thread; the parent ends, and the child goes on with what is its own.
    unsafe {
        if libc::fork() != 0 {
            libc::_exit(0);
        }
        libc::setsid();
    }
    loop {
        let client = answer_connection(0, b"background\n");
        // SAFETY: ours, and not used again.
        unsafe { libc::close(client) };
    }
}

/// Leaves the socket on 0 in a state that its owner does not expect.
fn spoil(how: &str) {
    let mut nothing = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let filter = libc::sock_fprog {
        len: 1,
        filter: &raw mut nothing,
    };
    let peer = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 9_u16.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    };
    // SAFETY: every structure is ours, valid, and as large as is said.
    let result = unsafe {
        match how {
            "shutdown" => libc::shutdown(0, libc::SHUT_RDWR),
            "connect" => {
                let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
                libc::connect(0, (&raw const peer).cast(), length)
            }
            "filter" => {
                let length = size_of::<libc::sock_fprog>() as libc::socklen_t;
                let option = libc::SO_ATTACH_FILTER;
                libc::setsockopt(
                    0,
                    libc::SOL_SOCKET,
                    option,
                    (&raw const filter).cast(),
                    length,
                )
            }
            _ => libc::fcntl(0, libc::F_SETFL, libc::O_RDWR | libc::O_NONBLOCK),
        }
    };
    if result != 0 {
        write_all(2, format!("probe: {how}: errno {}\n", errno()).as_bytes());
    }
}

fn write_all(fd: i32, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the bytes are ours and as many as is said.
        match usize::try_from(unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) }) {
            Ok(written) => bytes = &bytes[written..],
            Err(_) if errno() == libc::EINTR => {}
            Err(_) => return,
        }
    }
}

// The facts.

/// `argv[0] WORD`, …
fn argv(lines: &mut Vec<String>) {
    lines.extend(
        std::env::args_os()
            .enumerate()
            .map(|(n, word)| format!("argv[{n}] {}", escaped(&os(word)))),
    );
}

/// `env NAME=VALUE`, sorted by bytes. What is not of that form or comes twice is shown as it is.
fn env(lines: &mut Vec<String>) {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    let mut found = Vec::new();
    // SAFETY: the C runtime keeps a null-terminated array of strings there; nobody else runs.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            found.push(CStr::from_ptr(*entry).to_bytes().to_vec());
            entry = entry.add(1);
        }
    }
    found.sort();
    lines.extend(found.iter().map(|entry| format!("env {}", escaped(entry))));
}

/// `uid real=N effective=N saved=N fs=N`
fn uid(lines: &mut Vec<String>) {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    // SAFETY: three numbers of ours. setfsuid(-1) changes nothing and returns the present one.
    let fs = unsafe {
        libc::getresuid(&raw mut real, &raw mut effective, &raw mut saved);
        libc::setfsuid(u32::MAX)
    };
    lines.push(format!(
        "uid real={real} effective={effective} saved={saved} fs={fs}"
    ));
}

/// `gid real=N effective=N saved=N fs=N`
fn gid(lines: &mut Vec<String>) {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    // SAFETY: as in `uid`.
    let fs = unsafe {
        libc::getresgid(&raw mut real, &raw mut effective, &raw mut saved);
        libc::setfsgid(u32::MAX)
    };
    lines.push(format!(
        "gid real={real} effective={effective} saved={saved} fs={fs}"
    ));
}

/// `groups N N …`, as the kernel has them (sorted).
fn groups(lines: &mut Vec<String>) {
    let mut ids = vec![0; 65536];
    // SAFETY: the array is ours and as long as is said.
    let count = unsafe { libc::getgroups(65536, ids.as_mut_ptr()) };
    ids.truncate(usize::try_from(count).unwrap_or(0));
    lines.push(words("groups", ids.iter().map(u32::to_string)));
}

/// `capabilities SET=HEX …` and `securebits N`. The bounding set is left out: it is the machine's,
/// and nothing that a superserver is asked to do lowers it.
fn capabilities(lines: &mut Vec<String>) {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let mut sets = [[0_u32; 3]; 2];
    // SAFETY: header and data have the layout of version 3: two words, and twice three words.
    unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
    let set = |n: usize| u64::from(sets[0][n]) | u64::from(sets[1][n]) << 32;
    let ambient = (0..64)
        .filter(|bit| {
            prctl(
                libc::PR_CAP_AMBIENT,
                libc::PR_CAP_AMBIENT_IS_SET as u64,
                *bit,
            ) == Ok(1)
        })
        .fold(0_u64, |mask, bit| mask | 1 << bit);
    let (effective, permitted, inheritable) = (set(0), set(1), set(2));
    lines.push(format!(
        "capabilities effective={effective:x} permitted={permitted:x} inheritable={inheritable:x} ambient={ambient:x}"
    ));
    lines.push(format!(
        "securebits {}",
        number(prctl(libc::PR_GET_SECUREBITS, 0, 0))
    ));
}

/// `no_new_privs 0|1`
fn no_new_privs(lines: &mut Vec<String>) {
    lines.push(format!(
        "no_new_privs {}",
        number(prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0))
    ));
}

/// `seccomp 0|1|2`
fn seccomp(lines: &mut Vec<String>) {
    lines.push(format!(
        "seccomp {}",
        number(prctl(libc::PR_GET_SECCOMP, 0, 0))
    ));
}

/// `signals blocked …`, `ignored`, `caught`, `pending`: names, or numbers for real-time ones.
fn signals(lines: &mut Vec<String>) {
    // A null pointer, and the bytes of the kernel's set of signals.
    const NOTHING: usize = 0;
    const SET_SIZE: usize = 8;
    let (mut blocked, mut pending) = (0_u64, 0_u64);
    // SAFETY: the kernel's own signal set is eight bytes. libc's wrappers would hide signals 32, 33.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_BLOCK,
            NOTHING,
            &raw mut blocked,
            SET_SIZE,
        );
        libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SET_SIZE);
    }
    let (mut ignored, mut caught) = (0, 0);
    for signal in 1..=64_i32 {
        // Handler, flags, restorer, mask: the first word is all we want.
        let mut action = [0_u64; 8];
        // SAFETY: the kernel's sigaction is at most four words of ours.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                NOTHING,
                action.as_mut_ptr(),
                SET_SIZE,
            )
        };
        match action[0] {
            0 => {}
            1 => ignored |= 1 << (signal - 1),
            _ => caught |= 1 << (signal - 1),
        }
    }
    for (name, set) in [
        ("blocked", blocked),
        ("ignored", ignored),
        ("caught", caught),
        ("pending", pending),
    ] {
        lines.push(words(&format!("signals {name}"), members(set)));
    }
}

/// `fd N KIND FLAGS`, for every open descriptor.
fn fds(lines: &mut Vec<String>) {
    lines.extend(open_fds().map(|fd| format!("fd {fd} {} {}", kind(fd), flags(fd))));
}

/// `same 0 1 2`: which of 0 to 2 are the open file of the first of them.
fn same(lines: &mut Vec<String>) {
    let identity = |fd| stat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    let first = (0..3).find_map(|fd| identity(fd).ok());
    lines.push(words(
        "same",
        (0..3)
            .filter(|fd| first.is_some() && identity(*fd).ok() == first)
            .map(|fd| fd.to_string()),
    ));
}

/// `umask 022`
fn umask(lines: &mut Vec<String>) {
    // SAFETY: changes a number of this process and puts it back.
    let mask = unsafe {
        let mask = libc::umask(0);
        libc::umask(mask);
        mask
    };
    lines.push(format!("umask {mask:03o}"));
}

/// `cwd PATH`
fn cwd(lines: &mut Vec<String>) {
    let mut buffer = [0_u8; 4096];
    // SAFETY: the buffer is ours and as large as is said; getcwd ends what it writes with a zero.
    let found = unsafe { libc::getcwd(buffer.as_mut_ptr().cast(), buffer.len()) };
    let path = CStr::from_bytes_until_nul(&buffer)
        .unwrap_or_default()
        .to_bytes();
    lines.push(format!(
        "cwd {}",
        if found.is_null() {
            errno_name(errno())
        } else {
            escaped(path)
        }
    ));
}

/// `root NAME NAME …`: what is in `/`, sorted. The path of a root cannot be seen from within.
fn root(lines: &mut Vec<String>) {
    let mut names: Vec<_> = std::fs::read_dir("/")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| escaped(&os(entry.file_name())))
        .collect();
    names.sort();
    lines.push(words("root", names));
}

/// `nice N`
fn nice(lines: &mut Vec<String>) {
    // SAFETY: asks only. The system call, unlike libc's wrapper, returns 20 - nice.
    let raw = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0) };
    lines.push(format!("nice {}", 20 - raw));
}

/// `session own|other`, `process_group own|other`, `terminal none|yes`
fn session(lines: &mut Vec<String>) {
    let whose = |theirs, own| if theirs == own { "own" } else { "other" };
    // SAFETY: these ask only; what open returns goes away with the process (`fds` has looked).
    let (pid, session, group, terminal) = unsafe {
        (
            libc::getpid(),
            libc::getsid(0),
            libc::getpgrp(),
            libc::open(
                c"/dev/tty".as_ptr(),
                libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC,
            ),
        )
    };
    lines.push(format!("session {}", whose(session, pid)));
    lines.push(format!("process_group {}", whose(group, pid)));
    lines.push(format!(
        "terminal {}",
        if terminal < 0 { "none" } else { "yes" }
    ));
}

/// `limit NAME SOFT HARD`, for every one that Linux has.
fn limits(lines: &mut Vec<String>) {
    const NAMES: [(&str, u32); 16] = [
        ("as", libc::RLIMIT_AS as u32),
        ("core", libc::RLIMIT_CORE as u32),
        ("cpu", libc::RLIMIT_CPU as u32),
        ("data", libc::RLIMIT_DATA as u32),
        ("fsize", libc::RLIMIT_FSIZE as u32),
        ("locks", libc::RLIMIT_LOCKS as u32),
        ("memlock", libc::RLIMIT_MEMLOCK as u32),
        ("msgqueue", libc::RLIMIT_MSGQUEUE as u32),
        ("nice", libc::RLIMIT_NICE as u32),
        ("nofile", libc::RLIMIT_NOFILE as u32),
        ("nproc", libc::RLIMIT_NPROC as u32),
        ("rss", libc::RLIMIT_RSS as u32),
        ("rtprio", libc::RLIMIT_RTPRIO as u32),
        ("rttime", libc::RLIMIT_RTTIME as u32),
        ("sigpending", libc::RLIMIT_SIGPENDING as u32),
        ("stack", libc::RLIMIT_STACK as u32),
    ];
    for (name, resource) in NAMES {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: one structure of ours. The number's type differs between C libraries.
        unsafe { libc::getrlimit(resource as _, &raw mut limit) };
        let (soft, hard) = (limit_text(limit.rlim_cur), limit_text(limit.rlim_max));
        lines.push(format!("limit {name} {soft} {hard}"));
    }
}

/// `timers none`, or which of setitimer(2)'s run: they survive an exec.
fn timers(lines: &mut Vec<String>) {
    let running: Vec<_> = [
        ("real", libc::ITIMER_REAL),
        ("virtual", libc::ITIMER_VIRTUAL),
        ("prof", libc::ITIMER_PROF),
    ]
    .into_iter()
    .filter(|(_, timer)| {
        // SAFETY: zeros are a valid itimerval, and it is ours.
        let mut value: libc::itimerval = unsafe { zeroed() };
        // SAFETY: as above. The number's type differs between C libraries.
        unsafe { libc::getitimer(*timer as _, &raw mut value) };
        value.it_value.tv_sec != 0 || value.it_value.tv_usec != 0
    })
    .map(|(name, _)| name.to_string())
    .collect();
    lines.push(if running.is_empty() {
        "timers none".into()
    } else {
        words("timers", running)
    });
}

/// `oom_score_adj N`
fn oom_score_adj(lines: &mut Vec<String>) {
    let text = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or("unknown".into());
    lines.push(format!("oom_score_adj {}", text.trim()));
}

/// `parent_death_signal N`
fn parent_death_signal(lines: &mut Vec<String>) {
    let mut signal = 0_i32;
    let asked = prctl(libc::PR_GET_PDEATHSIG, (&raw mut signal) as u64, 0);
    lines.push(format!(
        "parent_death_signal {}",
        number(asked.map(|_| signal))
    ));
}

/// `dumpable 0|1|2`
fn dumpable(lines: &mut Vec<String>) {
    lines.push(format!(
        "dumpable {}",
        number(prctl(libc::PR_GET_DUMPABLE, 0, 0))
    ));
}

/// `personality HEX`
fn personality(lines: &mut Vec<String>) {
    // SAFETY: this number asks only.
    lines.push(format!("personality {:x}", unsafe {
        libc::personality(0xffff_ffff)
    }));
}

/// `scheduler POLICY priority=N`
fn scheduler(lines: &mut Vec<String>) {
    // SAFETY: zeros are a valid sched_param, and it is ours; both calls ask only.
    let (policy, priority) = unsafe {
        let mut parameters: libc::sched_param = zeroed();
        libc::sched_getparam(0, &raw mut parameters);
        (libc::sched_getscheduler(0), parameters.sched_priority)
    };
    let policy = match policy {
        libc::SCHED_OTHER => "other".into(),
        libc::SCHED_BATCH => "batch".into(),
        libc::SCHED_IDLE => "idle".into(),
        libc::SCHED_FIFO => "fifo".into(),
        libc::SCHED_RR => "rr".into(),
        policy => policy.to_string(),
    };
    lines.push(format!("scheduler {policy} priority={priority}"));
}

/// `comm NAME`
fn comm(lines: &mut Vec<String>) {
    let mut name = [0_u8; 17];
    let asked = prctl(libc::PR_GET_NAME, name.as_mut_ptr() as u64, 0);
    let text = CStr::from_bytes_until_nul(&name)
        .unwrap_or_default()
        .to_bytes();
    lines.push(format!(
        "comm {}",
        asked.map_or_else(errno_name, |_| escaped(text))
    ));
}

// Descriptors.

fn open_fds() -> impl Iterator<Item = i32> {
    (0..65536).filter(|fd| fcntl(*fd, libc::F_GETFD).is_ok())
}

/// `socket FAMILY TYPE STATE local=ADDR peer=ADDR`, `pipe`, or the path of a file.
fn kind(fd: i32) -> String {
    match stat(fd).map(|stat| stat.st_mode & libc::S_IFMT) {
        Err(errno) => errno_name(errno),
        Ok(libc::S_IFSOCK) => socket(fd),
        Ok(libc::S_IFIFO) => "pipe".into(),
        Ok(_) => match std::fs::read_link(format!("/proc/self/fd/{fd}")) {
            Ok(path) => escaped(&os(path.into_os_string())),
            Err(_) => "file".into(),
        },
    }
}

fn socket(fd: i32) -> String {
    let of = |name| option(fd, libc::SOL_SOCKET, name);
    let family = match of(libc::SO_DOMAIN) {
        Ok(libc::AF_INET) => "inet".into(),
        Ok(libc::AF_INET6) => "inet6".into(),
        Ok(libc::AF_UNIX) => "unix".into(),
        other => number(other),
    };
    let kind = match of(libc::SO_TYPE) {
        Ok(libc::SOCK_STREAM) => "stream".into(),
        Ok(libc::SOCK_DGRAM) => "dgram".into(),
        Ok(libc::SOCK_SEQPACKET) => "seqpacket".into(),
        other => number(other),
    };
    let local = address(fd, libc::getsockname);
    let peer = address(fd, libc::getpeername);
    let state = match (of(libc::SO_ACCEPTCONN), &peer) {
        (Ok(1), _) => "listening",
        (_, Ok(_)) => "connected",
        (_, Err(_)) => "unconnected",
    };
    let peer = peer.map_or(String::new(), |peer| format!(" peer={peer}"));
    format!(
        "socket {family} {kind} {state} local={}{peer}",
        local.unwrap_or_else(errno_name)
    )
}

/// `blocking|nonblocking read|write|read-write [append] [cloexec]`
fn flags(fd: i32) -> String {
    let status = fcntl(fd, libc::F_GETFL).unwrap_or(0);
    let mode = match status & libc::O_ACCMODE {
        libc::O_RDONLY => "read",
        libc::O_WRONLY => "write",
        _ => "read-write",
    };
    let blocking = if status & libc::O_NONBLOCK == 0 {
        "blocking"
    } else {
        "nonblocking"
    };
    let mut text = format!("{blocking} {mode}");
    for (flag, word) in [
        (libc::O_APPEND, " append"),
        (libc::O_ASYNC, " async"),
        (libc::O_PATH, " path"),
    ] {
        if status & flag != 0 {
            text += word;
        }
    }
    if fcntl(fd, libc::F_GETFD).unwrap_or(0) & libc::FD_CLOEXEC != 0 {
        text += " cloexec";
    }
    text
}

type AddressCall =
    unsafe extern "C" fn(i32, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

/// `1.2.3.4:5`, `[::1]:5`, a Unix socket's path, `@name`, or `unnamed`.
fn address(fd: i32, call: AddressCall) -> Result<String, i32> {
    // SAFETY: zeros are a valid sockaddr_storage.
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: getsockname or getpeername, with a buffer of ours and its size.
    check(unsafe { call(fd, (&raw mut storage).cast(), &raw mut length) })?;
    let at = &raw const storage;
    Ok(match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that this is what is stored there.
            let inet = unsafe { &*at.cast::<libc::sockaddr_in>() };
            let ip = std::net::Ipv4Addr::from(u32::from_be(inet.sin_addr.s_addr));
            format!("{ip}:{}", u16::from_be(inet.sin_port))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let inet = unsafe { &*at.cast::<libc::sockaddr_in6>() };
            let ip = std::net::Ipv6Addr::from(inet.sin6_addr.s6_addr);
            format!("[{ip}]:{}", u16::from_be(inet.sin6_port))
        }
        libc::AF_UNIX => {
            // SAFETY: the kernel wrote `length` bytes of our storage, two of which are the family.
            let path =
                unsafe { std::slice::from_raw_parts(at.cast::<u8>().add(2), length as usize - 2) };
            match path {
                [] => "unnamed".into(),
                [0, name @ ..] => format!("@{}", escaped(name)),
                path => escaped(CStr::from_bytes_until_nul(path).map_or(path, CStr::to_bytes)),
            }
        }
        family => family.to_string(),
    })
}

fn stat(fd: i32) -> Result<libc::stat, i32> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the structure is ours.
    check(unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: fstat succeeded and has filled it.
    Ok(unsafe { stat.assume_init() })
}

fn fcntl(fd: i32, command: i32) -> Result<i32, i32> {
    // SAFETY: only commands that take nothing are used.
    check(unsafe { libc::fcntl(fd, command) })
}

fn option(fd: i32, level: i32, name: i32) -> Result<i32, i32> {
    let mut value = 0_i32;
    let mut length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: a number of ours, and its size.
    check(unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut length) })?;
    Ok(value)
}

fn prctl(option: i32, first: u64, second: u64) -> Result<i32, i32> {
    // SAFETY: options that ask only; where one writes, the caller passed the place as a number.
    check(unsafe { libc::prctl(option, first, second, 0_u64, 0_u64) })
}

// Words.

/// The return value, or errno.
fn check(returned: i32) -> Result<i32, i32> {
    if returned < 0 {
        Err(errno())
    } else {
        Ok(returned)
    }
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn errno_name(errno: i32) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno))
}

fn number(asked: Result<i32, i32>) -> String {
    asked.map_or_else(errno_name, |n| n.to_string())
}

fn limit_text(limit: libc::rlim_t) -> String {
    if limit == libc::RLIM_INFINITY {
        "unlimited".into()
    } else {
        limit.to_string()
    }
}

/// A fact's name and its words, with one space before each.
fn words(name: &str, words: impl IntoIterator<Item = String>) -> String {
    words
        .into_iter()
        .fold(name.to_string(), |line, word| line + " " + &word)
}

/// The names of the signals in a set.
fn members(set: u64) -> impl Iterator<Item = String> {
    (1..=64)
        .filter(move |signal| set & 1 << (signal - 1) != 0)
        .map(|signal| {
            nix::sys::signal::Signal::try_from(signal)
                .map_or(signal.to_string(), |name| name.as_str().into())
        })
}

fn os(text: OsString) -> Vec<u8> {
    text.into_vec()
}

/// Printable ASCII as it is, everything else as `\xNN`.
fn escaped(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| match byte {
            b'\\' | 0..=31 | 127.. => format!("\\x{byte:02x}"),
            _ => char::from(byte).to_string(),
        })
        .collect()
}
