//! Programs that people really run under an inetd, each with its own client.
//!
//! Every test takes a table of `packaging/examples` as it is shipped and changes only what must
//! differ here: the port, and paths into the test's directory ([`Example::with`] insists that what
//! it replaces is there, once). `tests/run` installs the programs. One that is missing fails its
//! test as root and in CI, and skips it otherwise.

use crate::harness::*;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// A shipped table on its way to a server.
struct Example {
    text: String,
    builder: Builder,
}

impl Example {
    /// Reads a table, and puts its service on a port that the kernel chooses.
    fn new(file: &str, listen: &str) -> Example {
        let path = format!("{}/packaging/examples/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let chosen = if listen.contains("udp") {
            "\"udp:127.0.0.1:0\""
        } else {
            "\"127.0.0.1:0\""
        };
        let example = Example {
            text,
            builder: server(),
        };
        example.with(&format!("listen = {listen}"), &format!("listen = {chosen}"))
    }

    /// Replaces what cannot be the same in a test.
    #[track_caller]
    fn with(mut self, shipped: &str, here: &str) -> Example {
        let count = self.text.matches(shipped).count();
        assert_eq!(
            count, 1,
            "the example says {shipped:?} not once but {count} times"
        );
        self.text = self.text.replace(shipped, here);
        self
    }

    /// Whoever does not run as root can start programs as himself only.
    fn for_invoker(self, user: &str) -> Example {
        let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
        match is_root() {
            true => self,
            false => self.with(
                &format!("user = \"{user}\""),
                &format!("group = {gid}\nuser = {uid}"),
            ),
        }
    }

    /// A path in the test's directory.
    fn path(&self, name: &str) -> String {
        self.builder.directory().join(name)
    }

    /// Starts the server.
    #[track_caller]
    fn start(self) -> Server {
        self.builder.table(&self.text).start()
    }
}

/// Finds a program: installed, or unpacked by `tests/run`. `None`, after saying so, to skip.
fn installed(path: &str) -> Option<String> {
    let unpacked = Path::new(OXINETD).parent()?.parent()?.join("programs");
    let unpacked = unpacked
        .join(path.trim_start_matches('/'))
        .to_str()?
        .to_string();
    if let Some(found) = [path.to_string(), unpacked]
        .into_iter()
        .find(|at| Path::new(at).exists())
    {
        return Some(found);
    }
    let required = is_root() || std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!required, "{path} is missing: tests/run installs it");
    skip(&format!("{path} is missing: tests/run installs it"));
    None
}

/// Whether all are there.
fn all_installed(paths: &[&str]) -> bool {
    paths.iter().all(|path| installed(path).is_some())
}

/// The port of the service.
fn port(server: &Server, service: &str) -> String {
    let address = server.address(service, "");
    address.rsplit(':').next().expect("a port").to_string()
}

/// A command with an environment that has nothing of whoever runs the tests.
fn command(program: &str, directory: &Directory) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
        .env("HOME", directory.path())
        .current_dir(directory.path());
    command
}

/// Gives a directory to the user `nobody`, whom the services of most examples run as.
fn give_to_nobody(path: &str) {
    if is_root() {
        run(Command::new("chown").args(["-R", "nobody", path])).ok();
    }
}

/// Words for [`Builder::wrapped_in`]: a network of its own, where the standard port is free.
const OWN_NETWORK: [&str; 6] = [
    "unshare",
    "--net",
    "sh",
    "-c",
    "busybox ip link set lo up && exec \"$@\"",
    "sh",
];

/// True, after saying so, when namespaces are not allowed here (not root, or in a container).
fn without_namespaces() -> bool {
    let allowed = run(Command::new("unshare").args(["--net", "--mount", "true"])).code == Some(0);
    if !allowed {
        skip("needs network and mount namespaces");
    }
    !allowed
}

/// True, after saying so, when whoever runs the tests could not log in: a user without a shell, or an
/// id without a user.
fn without_login() -> bool {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap();
    let may =
        user.is_some_and(|user| !user.shell.ends_with("nologin") && !user.shell.ends_with("false"));
    if !may {
        skip("needs a user who may log in");
    }
    !may
}

/// Bytes that look like nothing, enough for many packets.
fn noise() -> Vec<u8> {
    (0..200_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect()
}

#[test]
fn git_clone_and_push() {
    if !all_installed(&["/usr/bin/git"]) {
        return;
    }
    let example = Example::new("git.toml", "9418").for_invoker("nobody");
    let base = example.path("git");
    git(
        example.builder.directory(),
        &[
            "init",
            "--quiet",
            "--bare",
            "-b",
            "main",
            &format!("{base}/project.git"),
        ],
    );
    give_to_nobody(&base);
    let server = example
        .with("--base-path=/srv/git", &format!("--base-path={base}"))
        .with("# \"--enable=receive-pack\",", "\"--enable=receive-pack\",")
        .start();
    let directory = server.directory();
    let url = format!("git://127.0.0.1:{}/project.git", port(&server, "git"));

    git(directory, &["clone", "--quiet", &url, "first"]);
    fs::write(directory.join("first/noise"), noise()).unwrap();
    git(directory, &["-C", "first", "add", "noise"]);
    git(
        directory,
        &["-C", "first", "commit", "--quiet", "--message=noise"],
    );
    git(
        directory,
        &["-C", "first", "push", "--quiet", "origin", "HEAD:main"],
    );
    git(directory, &["clone", "--quiet", &url, "second"]);
    assert!(fs::read(directory.join("second/noise")).unwrap() == noise());

    server.log().wait_for_many(3, |line| line.is("end", "git"));
    assert_eq!(server.stop().of("git", "launched"), 3);
}

fn git(directory: &Directory, arguments: &[&str]) {
    let mut git = command("/usr/bin/git", directory);
    git.env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    git.args([
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@b.c",
        "-c",
        "init.defaultBranch=main",
    ]);
    run(git.args(arguments)).ok();
}

#[test]
fn rsync_both_ways() {
    if !all_installed(&["/usr/bin/rsync"]) {
        return;
    }
    let example = Example::new("rsync.toml", "873").for_invoker("root");
    let directory = example.builder.directory();
    let files = directory.directory("files");
    give_to_nobody(&files);
    // Changing its root is the privilege of root.
    let module = format!(
        "use chroot = {}\n[files]\npath = {files}\nread only = no\n",
        is_root()
    );
    let config = directory.file("rsyncd.conf", module);
    let server = example.with("/etc/rsyncd.conf", &config).start();
    let directory = server.directory();
    let url = format!("rsync://127.0.0.1:{}/files/", port(&server, "rsync"));

    fs::write(format!("{}/noise", directory.directory("there")), noise()).unwrap();
    run(command("rsync", directory).args(["-rt", "there/", &url])).ok();
    run(command("rsync", directory).args(["-rt", &url, "back/"])).ok();
    assert!(fs::read(directory.join("back/noise")).unwrap() == noise());

    server
        .log()
        .wait_for_many(2, |line| line.is("end", "rsync"));
    assert_eq!(server.stop().of("rsync", "launched"), 2);
}

#[test]
fn sshd_runs_a_command() {
    let (Some(sshd), true) = (
        installed("/usr/sbin/sshd"),
        all_installed(&["/usr/bin/ssh"]),
    ) else {
        return;
    };
    if (is_root() && without_namespaces()) || without_login() {
        return;
    }
    let mut example = Example::new("sshd.toml", "22").for_invoker("root");
    let directory = example.builder.directory();
    let keys = SshKeys::make(directory);
    let mut config = format!(
        "HostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM {}\n",
        keys.host,
        keys.authorized,
        // So that root may log in where his password is locked.
        if is_root() { "yes" } else { "no" },
    );
    // From 9.8 on sshd is several programs, at places that were compiled in.
    for (word, path) in [
        ("SshdSessionPath", "/usr/lib/openssh/sshd-session"),
        ("SshdAuthPath", "/usr/lib/openssh/sshd-auth"),
    ] {
        let unpacked = format!("{}{path}", sshd.trim_end_matches("/usr/sbin/sshd"));
        if Path::new(&unpacked).exists() {
            config += &format!("{word} {unpacked}\n");
        }
    }
    let config = directory.file("sshd_config", config);
    if is_root() {
        // As root it insists on a user and a directory that its package would make.
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let sshd = "sshd:x:65531:65534::/run/sshd:/usr/sbin/nologin\n";
        directory.file("passwd", format!("{users}{sshd}"));
        example.builder = example.builder.wrapped_in(&[
            "unshare",
            "--mount",
            "sh",
            "-c",
            "mount -t tmpfs none /run && mkdir /run/sshd && \
             mount --bind {dir}/passwd /etc/passwd && exec \"$@\"",
            "sh",
        ]);
    }
    let arguments = format!("[\"{sshd}\", \"-i\", \"-f\", \"{config}\"]");
    let server = example
        .with("[\"/usr/sbin/sshd\", \"-i\"]", &arguments)
        .start();
    ssh_runs_a_command(&server, "ssh", &keys);
}

#[test]
fn dropbear_runs_a_command() {
    if !all_installed(&["/usr/sbin/dropbear", "/usr/bin/dropbearkey", "/usr/bin/ssh"])
        || without_root("dropbear looks for keys in the home of the user")
        || without_namespaces()
    {
        return;
    }
    let mut example = Example::new("dropbear.toml", "22");
    let directory = example.builder.directory();
    let keys = SshKeys::make(directory);
    let host = directory.join("dropbear_key");
    run(Command::new("dropbearkey").args(["-t", "ed25519", "-f", &host])).ok();
    let public = run(Command::new("dropbearkey").args(["-y", "-f", &host]))
        .ok()
        .stdout;
    let public = public
        .lines()
        .find(|line| line.starts_with("ssh-"))
        .expect("a public key");
    fs::write(&keys.host_public, public).unwrap();
    // The keys of root's home are not for tests. His home is elsewhere for this server.
    directory.file("passwd", format!("root:x:0:0::{}:/bin/sh\n", keys.home));
    example.builder = example.builder.wrapped_in(&[
        "unshare",
        "--mount",
        "sh",
        "-c",
        "mount --bind {dir}/passwd /etc/passwd && exec \"$@\"",
        "sh",
    ]);
    let server = example
        .with(
            "\"/etc/dropbear/dropbear_ed25519_host_key\"",
            &format!("{host:?}"),
        )
        .start();
    ssh_runs_a_command(&server, "dropbear", &keys);
}

/// What an SSH server and its client need.
struct SshKeys {
    home: String,
    host: String,
    host_public: String,
    client: String,
    authorized: String,
}

impl SshKeys {
    fn make(directory: &Directory) -> SshKeys {
        let (home, ssh) = (
            directory.directory("home"),
            directory.directory("home/.ssh"),
        );
        let (host, client) = (directory.join("host"), format!("{ssh}/id_ed25519"));
        for key in [&host, &client] {
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", key])).ok();
        }
        let authorized = format!("{ssh}/authorized_keys");
        fs::copy(format!("{client}.pub"), &authorized).unwrap();
        SshKeys {
            home,
            host_public: format!("{host}.pub"),
            host,
            client,
            authorized,
        }
    }
}

/// Standard input, output and exit status go through, and the connection says where it comes from.
fn ssh_runs_a_command(server: &Server, service: &str, keys: &SshKeys) {
    let port = port(server, service);
    let host = fs::read_to_string(&keys.host_public).unwrap();
    let known = server
        .directory()
        .file("known_hosts", format!("[127.0.0.1]:{port} {host}"));
    let user = run(Command::new("id").arg("-un")).ok().stdout;
    let mut ssh = command("ssh", server.directory());
    ssh.args([
        "-F",
        "none",
        "-i",
        &keys.client,
        "-p",
        &port,
        "-l",
        user.trim(),
    ]);
    ssh.args([
        "-o",
        &format!("UserKnownHostsFile={known}"),
        "-o",
        "StrictHostKeyChecking=yes",
    ]);
    ssh.args([
        "-o",
        "BatchMode=yes",
        "127.0.0.1",
        "echo ${SSH_CONNECTION%% *}; cat; exit 7",
    ]);
    let ran = run_with_input(&mut ssh, b"through and back");
    assert_eq!(
        (ran.stdout.as_str(), ran.code),
        ("127.0.0.1\nthrough and back", Some(7)),
        "{}",
        ran.stderr
    );
    server.wait_end(service);
}

#[test]
fn tftpd_is_asked_and_given_a_file() {
    let (Some(tftpd), true) = (
        installed("/usr/sbin/in.tftpd"),
        all_installed(&["/usr/bin/tftp"]),
    ) else {
        return;
    };
    if without_root("in.tftpd changes root and user") {
        return;
    }
    let example = Example::new("tftp.toml", "\"udp:69\"");
    let files = example.builder.directory().directory("tftp");
    fs::write(format!("{files}/noise"), noise()).unwrap();
    give_to_nobody(&files);
    let mut server = example
        .with("\"/srv/tftp\"", &format!("{files:?}"))
        .with("/usr/sbin/in.tftpd", &tftpd)
        .start();
    let port = port(&server, "tftp");
    let tftp = |arguments: &[&str]| {
        let mut tftp = command("tftp", server.directory());
        run(tftp
            .args(["-m", "binary", "127.0.0.1", &port, "-c"])
            .args(arguments))
        .ok()
    };

    tftp(&["get", "noise", "fetched"]);
    assert!(fs::read(server.directory().join("fetched")).unwrap() == noise());
    tftp(&["put", "fetched", "given"]);
    assert!(fs::read(format!("{files}/given")).unwrap() == noise());

    // It waits for more requests, as it was told to.
    server.leave_programs();
    assert_eq!(server.stop().of("tftp", "starts"), 1);
}

#[test]
fn fingerd_answers_finger() {
    let Some(example) = finger_example("finger.toml") else {
        return;
    };
    let server = example.start();
    let said = finger(&server);
    assert!(
        said.code == Some(0) && said.stdout.contains("Login: root"),
        "{said:?}"
    );
    server.wait_end("finger");
}

#[test]
fn tcpd_guards_fingerd() {
    let Some(example) = finger_example("tcpd.toml") else {
        return;
    };
    if !all_installed(&["/usr/sbin/tcpd"]) {
        return;
    }
    let server = example.start();
    let said = finger(&server);
    assert!(
        said.code == Some(0) && said.stdout.contains("Login: root"),
        "{said:?}"
    );
    server.wait_end("finger");
}

#[test]
fn tcpd_keeps_out_whom_hosts_deny_names() {
    let Some(mut example) = finger_example("tcpd.toml") else {
        return;
    };
    if !all_installed(&["/usr/sbin/tcpd"]) {
        return;
    }
    // The name that tcpd looks for is argv[0]'s.
    example
        .builder
        .directory()
        .file("hosts.deny", "in.fingerd: ALL\n");
    example.builder = example.builder.wrapped_in(&[
        "unshare",
        "--net",
        "--mount",
        "sh",
        "-c",
        "busybox ip link set lo up && mount --bind {dir}/hosts.deny /etc/hosts.deny && exec \"$@\"",
        "sh",
    ]);
    let server = example.start();
    let said = finger(&server);
    assert!(!said.stdout.contains("Login:"), "{said:?}");
    server.wait_end("finger");
}

/// finger(1) knows one port only, so the example runs where that is free: nothing but the path of
/// the program is changed.
fn finger_example(file: &str) -> Option<Example> {
    let fingerd = installed("/usr/sbin/in.fingerd")?;
    if !all_installed(&["/usr/bin/finger", "/usr/bin/busybox"])
        || without_root("finger needs port 79")
        || without_namespaces()
    {
        return None;
    }
    let mut example = Example::new(file, "79").with("listen = \"127.0.0.1:0\"", "listen = 79");
    // Where `nobody` can reach it.
    let fingerd = example
        .builder
        .directory()
        .program_of_build(Path::new(&fingerd), "in.fingerd");
    example.builder = example.builder.wrapped_in(&OWN_NETWORK);
    Some(example.with("/usr/sbin/in.fingerd", &fingerd))
}

fn finger(server: &Server) -> Ran {
    let mut finger = command("nsenter", server.directory());
    run(finger.args([
        "--net",
        "--target",
        &server.pid().to_string(),
        "finger",
        "root@127.0.0.1",
    ]))
}

#[test]
fn httpd_serves_a_tree_to_curl() {
    if !all_installed(&["/usr/bin/busybox", "/usr/bin/curl"]) {
        return;
    }
    let example = Example::new("httpd.toml", "80").for_invoker("nobody");
    let files = example.builder.directory().directory("www/deep/er");
    fs::write(format!("{files}/noise"), noise()).unwrap();
    let root = example.path("www");
    fs::write(format!("{root}/index.html"), "<p>It works.").unwrap();
    let server = example.with("/srv/www", &root).start();
    let url = format!("http://127.0.0.1:{}", port(&server, "http"));
    let curl = |path: &str| {
        let mut curl = command("curl", server.directory());
        run(curl
            .args([
                "--silent",
                "--show-error",
                "--fail",
                &format!("{url}{path}"),
            ])
            .args(["-o", "got"]))
    };

    curl("/").ok();
    assert_eq!(
        fs::read_to_string(server.directory().join("got")).unwrap(),
        "<p>It works."
    );
    curl("/deep/er/noise").ok();
    assert!(fs::read(server.directory().join("got")).unwrap() == noise());
    let missing = curl("/missing");
    assert!(
        missing.code == Some(22) && missing.stderr.contains("404"),
        "{missing:?}"
    );
    server.log().wait_for_many(3, |line| line.is("end", "http"));
}

#[test]
fn a_python_program_uses_its_socket() {
    if !all_installed(&["/usr/bin/python3"]) {
        return;
    }
    let server = Example::new("python.toml", "10100")
        .for_invoker("nobody")
        .start();
    let client = server.connect("whoami");
    client.expect(format!(
        "You are 127.0.0.1, port {}. Your name? ",
        client.port()
    ));
    client
        .send("Ada\n")
        .expect("Welcome to whoami, Ada.\r\n")
        .expect_end();
    server.wait_end("whoami");
}

#[test]
fn a_shell_script_talks() {
    let server = Example::new("shell.toml", "10101")
        .for_invoker("nobody")
        .start();
    let client = server.connect("hello");
    client
        .expect("Your name?\n")
        .send("Ada\n")
        .expect("Hello Ada at 127.0.0.1\n")
        .expect_end();
    let said = server.log().wait_for(|line| line.is("stderr", "hello"));
    assert_eq!(said.field("line"), Some("greeted Ada"));
    server.wait_end("hello");
}

#[test]
fn a_program_takes_its_sockets_by_sd_listen_fds() {
    if !all_installed(&["/usr/lib/systemd/systemd-socket-proxyd"]) {
        return;
    }
    let behind = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = behind.local_addr().unwrap().to_string();
    let example = Example::new("listen-fds.toml", "8080").for_invoker("nobody");
    let mut server = example.with("192.0.2.10:80", &address).start();

    let (first, second) = (server.connect("proxy"), server.connect("proxy"));
    first.send("ping");
    second.send("ping");
    for _ in 0..2 {
        let mut asked = [0; 4];
        let (mut connection, _) = behind.accept().unwrap();
        connection.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"ping");
        connection.write_all(b"pong").unwrap();
    }
    first.expect("pong").expect_end();
    second.expect("pong").expect_end();

    // One process for both. It waits for more, as it was told to.
    server.leave_programs();
    assert_eq!(server.stop().of("proxy", "starts"), 1);
}

#[test]
fn a_calculator_a_sorter_and_an_editor_behave_as_for_a_person() {
    if !all_installed(&["/usr/bin/bc", "/usr/bin/python3", "/usr/bin/sort"]) {
        return;
    }
    let mut example = Example::new("terminal.toml", "\"localhost:10110\"");
    for port in 10111..10114 {
        example = example.with(
            &format!("listen = \"localhost:{port}\""),
            "listen = \"127.0.0.1:0\"",
        );
    }
    let server = example.start();
    let bc = server.connect("bc");
    bc.expect("A calculator. quit to leave.\r\n")
        .send("6*7\r\n");
    assert!(
        std::iter::repeat_with(|| bc.read_line())
            .take(9)
            .any(|line| line.contains("42"))
    );
    bc.send("quit\r\n").read_all();
    let sorted = server
        .connect("sort")
        .send("b\na\n")
        .half_close()
        .read_text();
    assert_eq!(sorted, "a\nb\n");
    let python = server.connect("python");
    let said = python.send("print(6*7)\nexit()\n").read_text();
    assert!(said.contains("42\r\n"), "{said}");
    for service in ["bc", "sort", "python"] {
        server.wait_end(service);
    }
    server.stop();
}
