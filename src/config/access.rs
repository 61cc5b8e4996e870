//! From `allow`, `deny` and `exempt` as they were written to lists that services share.
//!
//! A file is read once, however many services name it, and is checked like the table itself.

use super::file;
use super::host::Host;
use super::list::{self, List as FileList};
use super::mistake::{Located, Mistake, Place};
use super::who::{Entry, most_bits, shown};
use super::words::quoted;
use crate::table::{Acl, AclEntry, List, Who};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Rank of the first list when mistakes are sorted: after the table and what it includes.
const FIRST_RANK: u32 = 1 << 30;

/// Entries of all lists together, as far as services do not share them.
const MOST: usize = 5_000_000;

/// A list as a service or `[defaults]` has it.
#[derive(Clone, Copy)]
pub(super) struct Written<'e> {
    pub(super) list: List,
    /// Where its key is.
    pub(super) place: &'e Place,
    pub(super) entries: &'e [Located<Entry>],
}

/// The lists of a service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lists {
    /// Index of their [`Acl`].
    pub(super) index: u32,
    /// Whether `allow` lets in anyone over the network.
    pub(super) allows_addresses: bool,
    /// Whether `allow` lets in any user of this host.
    pub(super) allows_users: bool,
    pub(super) has_exempt: bool,
}

/// All lists, and what is wrong with them.
pub(super) struct Access<'h> {
    host: &'h Host,
    /// What names of files are relative to.
    base: PathBuf,
    files: Vec<Option<FileList>>,
    paths: HashMap<PathBuf, usize>,
    acls: Vec<Acl>,
    known: HashMap<Vec<(List, Item)>, Lists>,
    size: usize,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
}

/// An entry, and where it is: enough to tell lists apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Item {
    One(Who, Spot),
    File(usize),
}

/// A source's rank, and a line of it from 1.
type Spot = (u32, u32);

impl<'h> Access<'h> {
    pub(super) fn new(host: &'h Host, base: &Path) -> Access<'h> {
        Access {
            host,
            base: base.to_owned(),
            files: Vec::new(),
            paths: HashMap::new(),
            acls: Vec::new(),
            known: HashMap::new(),
            size: 0,
            mistakes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The list that indices point into.
    pub(super) fn take(&mut self) -> Vec<Acl> {
        self.known.clear();
        std::mem::take(&mut self.acls)
    }

    /// The lists of a service, of which there are one or more.
    pub(super) fn lists(&mut self, written: &[Written]) -> Lists {
        let mut key = Vec::new();
        for written in written {
            for (entry, nth) in written.entries.iter().zip(1..) {
                let item = match &entry.value {
                    Entry::One(who) => Item::One(*who, spot(&entry.place, nth)),
                    Entry::File(path) => Item::File(self.file(path, &entry.place)),
                };
                key.push((written.list, item));
            }
        }
        let lists = match self.known.get(&key) {
            Some(lists) => *lists,
            None => self.add(written),
        };
        self.known.insert(key, lists);
        self.check_allow(written, lists);
        lists
    }

    /// An empty list would let nobody in, and one that has become empty by mistake must not let
    /// everybody in.
    fn check_allow(&mut self, written: &[Written], lists: Lists) {
        let allow = written.iter().find(|written| written.list == List::Allow);
        let is_empty = !lists.allows_addresses && !lists.allows_users;
        if let Some(allow) = allow.filter(|allow| is_empty && self.is_read(allow)) {
            let help =
                "leave it out to let everybody in; to switch a service off, write: enabled = false";
            let mistake = Mistake::new("allow is empty: nobody could come in");
            self.mistakes.push(mistake.at(allow.place).help(help));
        }
    }

    /// Index of a file, which is read when it is named first.
    fn file(&mut self, name: &str, place: &Place) -> usize {
        let path = self.base.join(name);
        if let Some(index) = self.paths.get(&path) {
            return *index;
        }
        let index = self.files.len();
        let list = self.read(&path, FIRST_RANK + index as u32, place);
        self.files.push(list);
        self.paths.insert(path, index);
        index
    }

    fn read(&mut self, path: &Path, rank: u32, place: &Place) -> Option<FileList> {
        match file::read_list(path, rank, self.host) {
            Ok(opened) => {
                let (list, mistakes) = list::read(&opened.source);
                let is_right = mistakes.is_empty();
                self.mistakes.extend(opened.mistakes);
                self.mistakes.extend(mistakes);
                self.warnings.extend(opened.warnings);
                Some(list).filter(|_| is_right)
            }
            Err(mistakes) => {
                let named = mistakes.0.into_iter();
                let named = named.map(|mistake| mistake.note("it is named at", place));
                self.mistakes.extend(named);
                None
            }
        }
    }

    fn add(&mut self, written: &[Written]) -> Lists {
        let (mut names, mut entries) = (Names::default(), Vec::new());
        let mut lists = Lists {
            index: self.acls.len() as u32,
            allows_addresses: false,
            allows_users: false,
            has_exempt: false,
        };
        for written in written {
            for (who, (rank, line), name) in self.each(written) {
                let file = names.index(rank, name);
                let list = written.list;
                entries.push(AclEntry {
                    list,
                    who,
                    file,
                    line,
                });
                match (list, who) {
                    (List::Allow, Who::Prefix(..)) => lists.allows_addresses = true,
                    (List::Allow, _) => lists.allows_users = true,
                    (List::Deny, _) => {}
                    (List::Exempt, _) => lists.has_exempt = true,
                }
            }
        }
        self.warn_of_networks(written);
        self.warn_of_conflicts(&entries, written);
        self.add_size(entries.len(), written);
        self.acls.push(Acl::new(names.names, entries));
        lists
    }

    /// Whether all files that it names could be read.
    fn is_read(&self, written: &Written) -> bool {
        let mut entries = written.entries.iter();
        entries.all(|entry| match &entry.value {
            Entry::File(path) => self.list_of(path).is_some(),
            Entry::One(_) => true,
        })
    }

    /// The entries of a list, those in files included, each with its place and the name of its file.
    fn each<'a>(
        &'a self,
        written: &Written<'a>,
    ) -> impl Iterator<Item = (Who, Spot, &'a str)> + 'a {
        written.entries.iter().zip(1..).flat_map(|(entry, nth)| {
            let (one, file) = match &entry.value {
                Entry::One(who) => (
                    Some((*who, spot(&entry.place, nth), name(&entry.place))),
                    None,
                ),
                Entry::File(path) => (None, self.list_of(path)),
            };
            let lines = file.into_iter().flat_map(|list| {
                let (rank, name) = (list.source.order(), list.source.name());
                let lines = list.entries.iter();
                lines.map(move |(who, line)| (*who, (rank, *line), name))
            });
            one.into_iter().chain(lines)
        })
    }

    fn list_of(&self, name: &str) -> Option<&FileList> {
        let index = self.paths.get(&self.base.join(name))?;
        self.files[*index].as_ref()
    }

    /// An address that ends in zeros was probably meant as a network.
    fn warn_of_networks(&mut self, written: &[Written]) {
        for entry in written.iter().flat_map(|written| written.entries) {
            let Entry::One(Who::Prefix(address, bits)) = entry.value else {
                continue;
            };
            let network = network(address).filter(|_| bits == most_bits(address));
            if let Some(network) = network.filter(|_| !is_with_length(&entry.place)) {
                let message = format!("{address} is one address, though it looks like a network");
                let help = format!(
                    "write \"{network}\" for the network, or \"{address}/{bits}\" for the address alone"
                );
                self.warnings
                    .push(Mistake::new(message).at(&entry.place).help(help).warning());
            }
        }
    }

    /// What is both in allow and in deny: the first of it, and how much more there is.
    fn warn_of_conflicts(&mut self, entries: &[AclEntry], written: &[Written]) {
        let of = |list: List| entries.iter().filter(move |entry| entry.list == list);
        if of(List::Deny).next().is_none() {
            return;
        }
        let allowed: HashSet<Who> = of(List::Allow).map(|entry| entry.who).collect();
        let mut both = of(List::Deny).filter(|entry| allowed.contains(&entry.who));
        let deny = written.iter().find(|written| written.list == List::Deny);
        if let (Some(first), Some(deny)) = (both.next(), deny) {
            let more = match both.count() {
                0 => String::new(),
                1 => ", and so is another one".to_owned(),
                more => format!(", and so are {more} others"),
            };
            let who = quoted(&shown(first.who));
            let message = format!("{who} is in allow and in deny{more}: deny wins");
            let place = place_of(first.who, deny).unwrap_or(deny.place);
            let mistake = Mistake::new(message).at(place);
            self.warnings
                .push(mistake.help("take it out of one of them").warning());
        }
    }

    fn add_size(&mut self, size: usize, written: &[Written]) {
        let was_small = self.size <= MOST;
        self.size += size;
        if let (true, Some(written)) = (was_small && self.size > MOST, written.first()) {
            let message =
                format!("the lists of all services have more than {MOST} entries together");
            let help = "services share a list that is in [defaults], or whose entries are all in the same files";
            self.mistakes
                .push(Mistake::new(message).at(written.place).help(help));
        }
    }
}

/// Names of files, each once.
#[derive(Default)]
struct Names {
    names: Vec<String>,
    ranks: Vec<u32>,
}

impl Names {
    fn index(&mut self, rank: u32, name: &str) -> u32 {
        // Those of one file mostly follow each other.
        let found = self.ranks.iter().rposition(|known| *known == rank);
        let index = found.unwrap_or_else(|| {
            self.ranks.push(rank);
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        index as u32
    }
}

/// Where an entry is; one of the command line is the nth of its option.
fn spot(place: &Place, nth: u32) -> Spot {
    match place {
        Place::Text(source, span) => (source.order(), source.line_of(span.start) as u32 + 1),
        Place::File(source) => (source.order(), 1),
        Place::Argument("--deny") => (u32::MAX - 1, nth),
        Place::Argument(_) | Place::Nowhere => (u32::MAX, nth),
    }
}

fn name(place: &Place) -> &str {
    match place {
        Place::Argument(argument) => argument,
        place => place.file().unwrap_or_default(),
    }
}

/// The entry itself, where it is not in a file.
fn place_of<'e>(who: Who, written: &Written<'e>) -> Option<&'e Place> {
    let mut entries = written.entries.iter();
    let found = entries.find(|entry| entry.value == Entry::One(who));
    found.map(|entry| &entry.place)
}

fn is_with_length(place: &Place) -> bool {
    match place {
        Place::Text(source, span) => source
            .text()
            .get(span.clone())
            .is_none_or(|text| text.contains('/')),
        _ => false,
    }
}

/// The network that an address which ends in zeros stands for.
fn network(address: IpAddr) -> Option<String> {
    let (zeros, unit, most) = match address {
        IpAddr::V4(v4) => (v4.to_bits().trailing_zeros(), 8, 32),
        IpAddr::V6(v6) => (v6.to_bits().trailing_zeros(), 16, 128),
    };
    let length = most - zeros / unit * unit;
    let is_network = match address {
        IpAddr::V4(_) => length <= 24,
        IpAddr::V6(_) => length <= 64,
    };
    is_network.then(|| format!("{address}/{length}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_ends_in_zeros_looks_like_a_network() {
        let networks = [
            ("10.0.0.0", Some("10.0.0.0/8")),
            ("192.168.7.0", Some("192.168.7.0/24")),
            ("0.0.0.0", Some("0.0.0.0/0")),
            ("2001:db8::", Some("2001:db8::/32")),
            ("::", Some("::/0")),
            ("192.168.7.128", None),
            ("2001:db8::1:0", None),
            ("::1", None),
        ];
        for (address, expected) in networks {
            assert_eq!(
                network(address.parse().unwrap()).as_deref(),
                expected,
                "{address}"
            );
        }
    }
}
