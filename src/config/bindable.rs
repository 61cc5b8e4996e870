//! Whether a socket could be bound now: warnings, since rights and directories may come later.
//! Nothing is bound to find out.

use super::file::reason;
use super::host::Host;
use super::mistake::{Mistake, Place};
use super::words::quoted;
use crate::table::{Address, Endpoint};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Says why an endpoint, which was written at `place`, could not be bound.
pub(super) fn check(endpoint: &Endpoint, place: &Place, host: &Host) -> Option<Mistake> {
    let mistake = match &endpoint.address {
        Address::Inet(address) => check_port(address.port(), host.lowest_port),
        Address::Path(path) => check_path(Path::new(path)),
        Address::Abstract(_) => None,
    };
    mistake.map(|mistake| mistake.at(place).warning())
}

fn check_port(port: u16, lowest: u16) -> Option<Mistake> {
    let is_reserved = port != 0 && port < lowest;
    is_reserved.then(|| {
        Mistake::new(format!(
            "this user may not listen on port {port}: ports below {lowest} are for root"
        ))
        .help(format!(
            "choose a port from {lowest} on, run oxinetd as root, or give it CAP_NET_BIND_SERVICE"
        ))
    })
}

fn check_path(path: &Path) -> Option<Mistake> {
    let shown = |path: &Path| quoted(&path.display().to_string());
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => Some(
            Mistake::new(format!("{} is a directory", shown(path)))
                .help("a socket needs a name of its own"),
        ),
        Ok(metadata) if !metadata.file_type().is_socket() => Some(
            Mistake::new(format!(
                "{} is there already, and is not a socket",
                shown(path)
            ))
            .help("choose another path, or remove that file"),
        ),
        Err(error) if is_missing(path.parent()?) => Some(
            Mistake::new(format!(
                "cannot find the directory {}: {}",
                shown(path.parent()?),
                reason(&error)
            ))
            .help("make it; until then nobody can connect"),
        ),
        _ => None,
    }
}

fn is_missing(directory: &Path) -> bool {
    let missing = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    match directory.metadata() {
        Ok(metadata) => !metadata.is_dir(),
        Err(error) => missing.contains(&error.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(mistake: Option<Mistake>) -> Option<String> {
        mistake.map(|mistake| mistake.message().to_owned())
    }

    #[test]
    fn low_ports_need_a_right() {
        let expected = "this user may not listen on port 79: ports below 1024 are for root";
        assert_eq!(message(check_port(79, 1024)).as_deref(), Some(expected));
        assert_eq!(message(check_port(1024, 1024)), None);
        assert_eq!(message(check_port(0, 1024)), None);
        assert_eq!(message(check_port(1, 0)), None);
    }

    #[test]
    fn a_socket_needs_a_directory_and_a_name_that_is_free() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| message(check_path(&directory.path().join(name)));
        std::fs::write(directory.path().join("file"), "").unwrap();
        std::fs::create_dir(directory.path().join("directory")).unwrap();
        let _socket =
            std::os::unix::net::UnixListener::bind(directory.path().join("socket")).unwrap();
        assert_eq!(at("socket"), None);
        assert_eq!(at("new"), None);
        assert!(
            at("directory")
                .unwrap()
                .ends_with("/directory\" is a directory")
        );
        assert!(
            at("file")
                .unwrap()
                .ends_with("is there already, and is not a socket")
        );
        assert!(
            at("none/socket")
                .unwrap()
                .starts_with("cannot find the directory ")
        );
        assert!(
            at("file/socket")
                .unwrap()
                .starts_with("cannot find the directory ")
        );
    }
}
