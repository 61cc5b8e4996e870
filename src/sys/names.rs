//! Names of ports and of network interfaces, as the system resolves them.
//!
//! May read files and ask NSS: only the loader calls this.

use std::ffi::{CStr, CString};
use std::sync::Mutex;

/// The port that this name has for this protocol ("tcp" or "udp") in services(5).
pub fn port(name: &str, protocol: &CStr) -> Option<u16> {
    /// getservbyname(3) answers in static memory.
    static ANSWER: Mutex<()> = Mutex::new(());
    let name = CString::new(name).ok()?;
    let _guard = ANSWER
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    // SAFETY: two C strings that live through the call; the guard keeps other threads away.
    let entry = unsafe { libc::getservbyname(name.as_ptr(), protocol.as_ptr()) };
    if entry.is_null() {
        return None;
    }
    // SAFETY: not null, so it points to a servent, which nobody overwrites before the guard goes.
    let port = unsafe { (*entry).s_port };
    Some(u16::from_be(port as u16))
}

/// The number of a network interface (if_nametoindex(3)); a number stands for itself.
pub fn interface(name: &str) -> Option<u32> {
    let number = name.parse().ok();
    number
        .or_else(|| nix::net::if_::if_nametoindex(name).ok())
        .filter(|number| *number != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_has_no_port() {
        assert_eq!(port("no-such-service", c"tcp"), None);
        assert_eq!(port("", c"tcp"), None);
        assert_eq!(port("a\0b", c"tcp"), None);
    }

    #[test]
    fn a_known_name_has_its_port_for_its_protocol() {
        // Minimal systems have no such file.
        let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
        let has = |port: &str| {
            services
                .lines()
                .any(|line| line.split_whitespace().eq(["tftp", port]))
        };
        if has("69/udp") && !has("69/tcp") {
            assert_eq!(
                (port("tftp", c"udp"), port("tftp", c"tcp")),
                (Some(69), None)
            );
        }
    }

    #[test]
    fn the_loopback_interface_has_a_number() {
        assert!(interface("lo").is_some());
        assert_eq!(interface("7"), Some(7));
        assert_eq!(interface("0"), None);
        assert_eq!(interface("no-such-interface"), None);
    }
}
