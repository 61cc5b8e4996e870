//! The `[server]` section as it was written.

use super::entry::{max_connections, name_or_id};
use super::mistake::{Located, Mistake, Mistakes, all};
use super::reader::Section;
use super::value::{self, NameOrId};
use crate::table::{Control, LogAddress, LogFormat, LogSink};

/// The keys that were written, and what they say.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerEntry {
    pub(super) include: Option<Vec<Located<String>>>,
    pub(super) inetd_conf: Option<Located<String>>,
    pub(super) pid_file: Option<String>,
    pub(super) control: Option<Control>,
    pub(super) log: Option<LogSink>,
    pub(super) log_format: Option<LogFormat>,
    pub(super) log_address: Option<LogAddress>,
    pub(super) max_connections: Option<u32>,
    pub(super) max_worker_connections: Option<u32>,
    pub(super) worker_user: Option<Located<NameOrId>>,
}

/// Reads the section, and says what is wrong with it.
pub(super) fn read(mut section: Section) -> (ServerEntry, Vec<Mistake>) {
    let entry = read_keys(&mut section);
    (entry, section.finish().mistakes)
}

pub(super) fn read_keys(s: &mut Section) -> ServerEntry {
    ServerEntry {
        include: s.take("include", |node| {
            all(node
                .one_or_more()
                .into_iter()
                .map(|node| value::without_nul(&node.string()?)))
        }),
        inetd_conf: s.take("inetd_conf", |node| value::absolute_path(&node.string()?)),
        pid_file: s.take("pid_file", |node| {
            Ok(value::absolute_path(&node.string()?)?.value)
        }),
        control: s.take("control", |node| value::control(&node.string()?)),
        log: s.take("log", |node| value::log_sink(&node.string()?)),
        log_format: s.take("log_format", |node| value::log_format(&node.string()?)),
        log_address: s.take("log_address", |node| value::log_address(&node.string()?)),
        max_connections: s.take("max_connections", max_connections),
        max_worker_connections: s.take("max_worker_connections", max_connections),
        worker_user: s.take("worker_user", |node| not_root(name_or_id(node)?)),
    }
}

fn not_root(user: Located<NameOrId>) -> Result<Located<NameOrId>, Mistakes> {
    match user.value {
        NameOrId::Id(0) => Err(worker_as_root(&user).into()),
        _ => Ok(user),
    }
}

/// The mistake that the worker is to be root.
pub(super) fn worker_as_root(user: &Located<NameOrId>) -> Mistake {
    Mistake::new("the worker cannot run as root: it speaks with clients")
        .at(&user.place)
        .help("give it a user of its own, for example: useradd --system oxinetd")
}
