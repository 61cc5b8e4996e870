//! What the machine and the caller bring to a table.

use crate::sys::handed::Facts;
use crate::sys::user;
use std::collections::BTreeMap;

/// The rights, ids and environment that a table is resolved for.
#[derive(Debug, Clone)]
pub struct Host {
    /// Whether programs can be run as other users.
    pub privileged: bool,
    /// The server's effective user id.
    pub uid: u32,
    /// Its effective group id.
    pub gid: u32,
    /// Its supplementary groups, sorted.
    pub groups: Vec<u32>,
    /// The lowest port that it may listen on.
    pub lowest_port: u16,
    /// Its environment, for `pass_env`. Variables that are not UTF-8 are left out.
    pub env: BTreeMap<String, String>,
    /// The sockets that the server was handed; `None` where this is not for a server to say.
    pub handed: Option<Vec<Facts>>,
}

/// The variable in which the supervisor tells its loader of them.
pub const HANDED: &str = "OXINETD_HANDED";

impl Host {
    /// This process, as it is now.
    pub fn of_this_process() -> Host {
        let credentials = user::credentials();
        let text = |word: std::ffi::OsString| word.into_string().ok();
        Host {
            privileged: user::may_change_identity(),
            uid: credentials.uid,
            gid: credentials.gid,
            groups: credentials.groups,
            lowest_port: lowest_port(),
            env: std::env::vars_os()
                .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
                .filter(|(name, _)| name != HANDED)
                .collect(),
            handed: std::env::var(HANDED)
                .ok()
                .and_then(|text| serde_json::from_str(&text).ok()),
        }
    }

    /// A server with all rights, of which nothing else is known: for a table that is served elsewhere.
    pub fn of_root() -> Host {
        Host {
            privileged: true,
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            lowest_port: 0,
            env: BTreeMap::new(),
            handed: None,
        }
    }
}

/// See ip_unprivileged_port_start in ip(7): below it a port needs CAP_NET_BIND_SERVICE.
fn lowest_port() -> u16 {
    const LIMIT: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    if user::may_bind_low_ports() {
        return 0;
    }
    let limit = std::fs::read_to_string(LIMIT).ok();
    limit
        .and_then(|limit| limit.trim().parse().ok())
        .unwrap_or(1024)
}
