//! What the machine and the caller bring to a table.

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
    /// Its environment, for `pass_env`. Variables that are not UTF-8 are left out.
    pub env: BTreeMap<String, String>,
}

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
            env: std::env::vars_os()
                .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
                .collect(),
        }
    }
}
