//! What a test says before its server runs: the table, the environment, the user, the dirt.

#![allow(
    clippy::wrong_self_convention,
    reason = "`as_user` reads as what it does"
)]

use super::process::{self, BeforeExec, Ran, become_user, before_exec, pass_on, readable_until};
use super::tail::Tail;
use super::{DEADLINE, Directory, Log, ORDINARY_USER, OXINETD, Server, is_root};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// A server to be. Text given to it may say `{dir}` for the test's directory and `{probe}` for the
/// path of the probe.
pub(crate) struct Builder {
    pub(super) directory: Directory,
    head: String,
    services: String,
    env: Vec<(String, String)>,
    wrapper: Vec<String>,
    options: Vec<String>,
    user: Option<u32>,
    before_exec: Vec<BeforeExec>,
    log_file: Option<String>,
}

/// A server that refused to start.
pub(crate) type Refused = Ran;

/// Begins to describe a server.
pub(crate) fn server() -> Builder {
    Builder {
        directory: Directory::new(),
        head: String::new(),
        services: String::new(),
        env: Vec::new(),
        wrapper: Vec::new(),
        options: Vec::new(),
        user: None,
        before_exec: Vec::new(),
        log_file: None,
    }
}

impl Builder {
    /// The test's directory, for files that the table names.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Adds a service: the lines of its section. Without `listen` it gets a TCP port of 127.0.0.1.
    pub(crate) fn service(mut self, name: &str, body: &str) -> Builder {
        self.services += &section(name, body);
        self
    }

    /// Adds text before the services: `[server]`, `[defaults]`, or a whole table.
    pub(crate) fn table(mut self, text: &str) -> Builder {
        self.head += text;
        self.head += "\n";
        self
    }

    /// Adds a variable to the server's environment, which has PATH only.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Builder {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Has these words precede the server's command line: a program that ends by executing it, such
    /// as `unshare -n`.
    pub(crate) fn wrapped_in(mut self, words: &[&str]) -> Builder {
        self.wrapper = words.iter().map(|word| self.expand(word)).collect();
        self
    }

    /// Adds options to the server's own command line, such as `--drain-timeout 5s`.
    pub(crate) fn with_options(mut self, words: &[&str]) -> Builder {
        self.options
            .extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Runs the server, when the tests run as root, as this user; the directory becomes his.
    pub(crate) fn as_user(mut self, uid: u32) -> Builder {
        self.user = Some(uid);
        self
    }

    /// Runs the server as an ordinary user, whoever runs the tests.
    pub(crate) fn as_ordinary_user(self) -> Builder {
        if is_root() {
            self.as_user(ORDINARY_USER)
        } else {
            self
        }
    }

    /// Has the server's process do this before its exec, while it is still the tests' user: the way to a
    /// dirty parent. System calls only.
    pub(crate) fn before_exec(
        mut self,
        action: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Builder {
        self.before_exec.push(Box::new(action));
        self
    }

    /// Has the log written to a file instead of standard error, for servers that have none. The
    /// table's `[server]` section is then the harness's.
    pub(crate) fn log_to_file(mut self) -> Builder {
        let path = self.directory.join("log");
        self.head = format!("[server]\nlog = \"file:{path}\"\n{}", self.head);
        self.log_file = Some(path);
        self
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(mut self) -> Server {
        let (ready, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("pipe");
        let mut command = self.command(Some(&writer));
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        drop((command, writer));
        let stderr = child.stderr.take().expect("a pipe");
        let (log, tail) = match &self.log_file {
            None => (Log::follow(stderr), None),
            Some(path) => {
                let (tail, stopper) = Tail::new(path);
                let log = Log::follow(tail);
                log.also_follow(stderr);
                (log, Some(stopper))
            }
        };
        let mut server = Server::new(child, log, tail, self.directory);
        let came = readable_until(&ready, Instant::now() + DEADLINE);
        let mut byte = [0];
        let read = nix::unistd::read(&ready, &mut byte);
        if came && read != Ok(1) {
            // It has ended; what it said is worth seeing.
            server.hear_out();
        }
        assert!(
            came && read == Ok(1) && byte == *b"\n",
            "the server did not become ready"
        );
        // The lines were written before the newline, but our thread may not have read them yet.
        server.log().wait_for(|line| line.event() == "ready");
        server
    }

    /// Starts it, and it must end by itself without having become ready.
    #[track_caller]
    pub(crate) fn refused(mut self) -> Refused {
        process::run(&mut self.command(None))
    }

    fn command(&mut self, ready: Option<&OwnedFd>) -> Command {
        let table = self.expand(&format!("{}{}", self.head, self.services));
        let config = self.directory.file("services.toml", table);
        let mut words = self.wrapper.clone();
        words.extend([&self.program(), "serve", "--config", &config].map(String::from));
        if !self.options.iter().any(|option| option == "--control") {
            words.extend(["--control".into(), self.directory.join("control")]);
        }
        words.append(&mut self.options);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.directory.path());
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        // So that the whole suite can be run with each way of launching.
        if let Ok(spawn) = std::env::var("OXINETD_SPAWN") {
            command.env("OXINETD_SPAWN", spawn);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(ready) = ready {
            command.args(["--ready-fd", &ready.as_raw_fd().to_string()]);
            pass_on(&mut command, ready);
        }
        self.before_exec
            .drain(..)
            .for_each(|action| before_exec(&mut command, action));
        if let Some(user) = self.user {
            self.directory.give_away();
            become_user(&mut command, user);
        }
        command
    }

    /// The build's directory may be closed to other users.
    fn program(&self) -> String {
        match self.user {
            None => OXINETD.into(),
            Some(_) => self
                .directory
                .program_of_build(Path::new(OXINETD), "oxinetd"),
        }
    }

    fn expand(&self, text: &str) -> String {
        expand(text, &self.directory)
    }
}

/// A service's section.
pub(super) fn section(name: &str, body: &str) -> String {
    let listens = body
        .lines()
        .any(|line| line.trim_start().starts_with("listen"));
    let listen = if listens {
        ""
    } else {
        "listen = \"127.0.0.1:0\"\n"
    };
    format!("[service.{name}]\n{listen}{body}\n")
}

/// Puts the paths of a test into its text.
pub(super) fn expand(text: &str, directory: &Directory) -> String {
    let text = text.replace("{dir}", directory.path().to_str().expect("UTF-8"));
    match text.contains("{probe}") {
        true => text.replace("{probe}", &directory.probe()),
        false => text,
    }
}
