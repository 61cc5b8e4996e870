//! Whom programs and the worker run as: names and ids to [`Identity`]s.
//!
//! As root, whoever is not named is nobody; without that right, everybody is the invoking user, and
//! a service that asks for another is told so and not offered.

use super::host::Host;
use super::mistake::{Located, Mistake, Mistakes, Place, all};
use super::server::worker_as_root;
use super::value::NameOrId;
use super::words::quoted;
use crate::sys::Errno;
use crate::sys::user::{self, User};
use crate::table::Identity;
use std::collections::HashMap;

/// Who a service without `user` runs as, when we may choose.
const NOBODY: &str = "nobody";

/// Nobody's id where the system has no such user: the kernel's own choice (overflowuid).
const NOBODY_ID: u32 = 65534;

/// The worker's user, and its id where the system has no such user.
const WORKER: &str = "oxinetd";
/// The group of those who may look.
const VIEWERS: &str = "oxinetd";
const WORKER_ID: u32 = 65533;

/// What a service says about whom it runs as.
#[derive(Default, Clone, Copy)]
pub(super) struct Wish<'e> {
    pub(super) user: Option<&'e Located<NameOrId>>,
    pub(super) group: Option<&'e Located<NameOrId>>,
    pub(super) groups: Option<&'e [Located<NameOrId>]>,
}

/// Whom it will run as.
pub(super) struct Chosen {
    /// Index into the table's identities.
    pub(super) index: u32,
    /// Why the wish cannot be fulfilled although it makes sense.
    pub(super) unavailable: Option<String>,
}

/// All identities of a table, each once, and what was asked of the system for them.
pub(super) struct Identities<'h> {
    host: &'h Host,
    list: Vec<Identity>,
    indices: HashMap<Identity, u32>,
    users: HashMap<NameOrId, Result<Option<User>, Errno>>,
    groups: HashMap<String, Result<Option<u32>, Errno>>,
    groups_of: HashMap<(String, u32), Result<Vec<u32>, Errno>>,
    warnings: Vec<Mistake>,
}

impl<'h> Identities<'h> {
    pub(super) fn new(host: &'h Host) -> Identities<'h> {
        Identities {
            host,
            list: Vec::new(),
            indices: HashMap::new(),
            users: HashMap::new(),
            groups: HashMap::new(),
            groups_of: HashMap::new(),
            warnings: Vec::new(),
        }
    }

    /// The list that indices point into, and what is to be said about it.
    pub(super) fn take(&mut self) -> (Vec<Identity>, Vec<Mistake>) {
        (
            std::mem::take(&mut self.list),
            std::mem::take(&mut self.warnings),
        )
    }

    /// The identity with this index.
    pub(super) fn get(&self, index: u32) -> &Identity {
        &self.list[index as usize]
    }

    /// Resolves a service's wish.
    pub(super) fn choose(&mut self, wish: Wish) -> Result<Chosen, Mistakes> {
        let wanted = self.wanted(wish)?;
        if self.host.privileged {
            return Ok(Chosen {
                index: self.intern(wanted),
                unavailable: None,
            });
        }
        let own = self.own();
        let unavailable = difference(&wanted, &own, wish);
        Ok(Chosen {
            index: self.intern(own),
            unavailable,
        })
    }

    /// Whom the worker becomes; `None` without the right to choose. `is_needed` when there is work
    /// for it: only then is a missing user worth a warning.
    pub(super) fn worker(
        &mut self,
        wish: Option<&Located<NameOrId>>,
        is_needed: bool,
    ) -> Result<Option<Identity>, Mistakes> {
        if !self.host.privileged {
            return Ok(None);
        }
        let default = Located::new(NameOrId::Name(WORKER.to_owned()), Place::Nowhere);
        let wish = wish.unwrap_or(&default);
        let known = self
            .find_user(&wish.value)
            .map_err(|errno| cannot_ask(wish, "user", errno))?;
        let identity = match (known, &wish.value) {
            (Some(user), _) => identity(user, Vec::new()),
            (None, NameOrId::Id(id)) => bare_identity(id.to_string(), *id, *id),
            (None, NameOrId::Name(name)) => {
                if is_needed {
                    self.warnings.push(no_worker_user(name).at(&wish.place));
                }
                bare_identity(WORKER_ID.to_string(), WORKER_ID, WORKER_ID)
            }
        };
        match identity.uid {
            0 => Err(worker_as_root(wish).into()),
            _ => Ok(Some(identity)),
        }
    }

    fn intern(&mut self, identity: Identity) -> u32 {
        let next = self.list.len() as u32;
        *self.indices.entry(identity).or_insert_with_key(|identity| {
            self.list.push(identity.clone());
            next
        })
    }

    /// What the wish means, whether or not it can be had.
    fn wanted(&mut self, wish: Wish) -> Result<Identity, Mistakes> {
        let (mut base, has_login_groups) = match wish.user {
            Some(user) => self.user(user, wish.group.is_some())?,
            None if self.host.privileged => self.nobody(),
            None => (self.own(), false),
        };
        if let Some(group) = wish.group {
            base.gid = self.group(group)?;
        }
        if let Some(groups) = wish.groups {
            base.groups = all(groups.iter().map(|group| self.group(group)))?;
            base.groups.sort_unstable();
            base.groups.dedup();
        } else if has_login_groups {
            base.groups = self.groups_of(&base).map_err(|errno| {
                let place = wish.user.map(|user| user.place.clone()).unwrap_or_default();
                Mistake::new(format!(
                    "cannot look up the groups of {}: {}",
                    quoted(&base.user),
                    errno.desc()
                ))
                .at(&place)
                .of_machine()
            })?;
        }
        Ok(base)
    }

    /// A user, and whether the system knows groups for it.
    fn user(
        &mut self,
        wish: &Located<NameOrId>,
        has_group: bool,
    ) -> Result<(Identity, bool), Mistakes> {
        let known = self
            .find_user(&wish.value)
            .map_err(|errno| cannot_ask(wish, "user", errno))?;
        match (known, &wish.value) {
            (Some(user), _) => Ok((identity(user, Vec::new()), true)),
            // Containers run as ids that nobody has named.
            (None, NameOrId::Id(id)) if *id == self.host.uid => Ok((self.own(), false)),
            // The caller replaces the group.
            (None, NameOrId::Id(id)) if has_group => {
                Ok((bare_identity(id.to_string(), *id, *id), false))
            }
            (None, NameOrId::Id(id)) => Err(Mistake::new(format!(
                "user id {id} belongs to no user, so its group is not known"
            ))
            .at(&wish.place)
            .help("say which: group = \"NAME\" or group = NUMBER")
            .of_machine()
            .into()),
            (None, NameOrId::Name(name)) => Err(unknown_user(wish, name)),
        }
    }

    /// The id of a user that only owns something.
    pub(super) fn user_id(&mut self, wish: &Located<NameOrId>) -> Result<u32, Mistakes> {
        let name = match &wish.value {
            NameOrId::Id(id) => return Ok(*id),
            NameOrId::Name(name) => name,
        };
        let known = self.find_user(&wish.value);
        let known = known.map_err(|errno| cannot_ask(wish, "user", errno))?;
        let user = known.ok_or_else(|| unknown(wish, "user", name, "useradd --system"))?;
        Ok(user.uid)
    }

    /// The id of a group.
    pub(super) fn group(&mut self, wish: &Located<NameOrId>) -> Result<u32, Mistakes> {
        let name = match &wish.value {
            NameOrId::Id(id) => return Ok(*id),
            NameOrId::Name(name) => name,
        };
        let known = *self
            .groups
            .entry(name.clone())
            .or_insert_with(|| user::group_by_name(name));
        known
            .map_err(|errno| cannot_ask(wish, "group", errno))?
            .ok_or_else(|| unknown(wish, "group", name, "groupadd --system"))
    }

    fn nobody(&mut self) -> (Identity, bool) {
        match self.find_user(&NameOrId::Name(NOBODY.to_owned())) {
            Ok(Some(user)) if user.uid != 0 => (identity(user, Vec::new()), true),
            _ => (
                bare_identity(NOBODY_ID.to_string(), NOBODY_ID, NOBODY_ID),
                false,
            ),
        }
    }

    fn own(&mut self) -> Identity {
        let host = self.host;
        let known = self.find_user(&NameOrId::Id(host.uid)).ok().flatten();
        let base = known.map(|user| identity(user, Vec::new()));
        let base = base.unwrap_or_else(|| bare_identity(host.uid.to_string(), host.uid, host.gid));
        Identity {
            gid: host.gid,
            groups: host.groups.clone(),
            ..base
        }
    }

    fn find_user(&mut self, wish: &NameOrId) -> Result<Option<User>, Errno> {
        let ask = || match wish {
            NameOrId::Name(name) => user::user_by_name(name),
            NameOrId::Id(id) => user::user_by_id(*id),
        };
        self.users.entry(wish.clone()).or_insert_with(ask).clone()
    }

    fn groups_of(&mut self, identity: &Identity) -> Result<Vec<u32>, Errno> {
        let key = (identity.user.clone(), identity.gid);
        let ask = || user::groups_of(&identity.user, identity.gid);
        self.groups_of.entry(key).or_insert_with(ask).clone()
    }
}

/// The group whose members may look through the control socket. One that does not exist, or cannot
/// be asked for, has no members.
pub(super) fn viewers() -> Option<u32> {
    user::group_by_name(VIEWERS).ok().flatten()
}

fn identity(user: User, groups: Vec<u32>) -> Identity {
    Identity {
        user: user.name,
        uid: user.uid,
        gid: user.gid,
        groups,
        home: user.home,
        shell: user.shell,
    }
}

/// A user that passwd(5) does not know.
fn bare_identity(user: String, uid: u32, gid: u32) -> Identity {
    Identity {
        user,
        uid,
        gid,
        groups: Vec::new(),
        home: "/".to_owned(),
        shell: "/bin/sh".to_owned(),
    }
}

/// Why what is wanted is not what an unprivileged server can give.
fn difference(wanted: &Identity, own: &Identity, wish: Wish) -> Option<String> {
    let needs = match () {
        () if wanted.uid != own.uid => format!("user {}", wanted.user),
        () if wish.group.is_some() && wanted.gid != own.gid => format!("group id {}", wanted.gid),
        () if wish.groups.is_some() && wanted.groups != own.groups => {
            "other supplementary groups".to_owned()
        }
        () => return None,
    };
    Some(format!(
        "needs {needs}, but oxinetd runs as {} and only root may change users",
        own.user
    ))
}

/// A user that does not exist; `user:group` and `user.group` are two keys.
fn unknown_user(wish: &Located<NameOrId>, name: &str) -> Mistakes {
    let is_user = |user: &str| matches!(user::user_by_name(user), Ok(Some(_)));
    let two = name
        .split_once(':')
        .or_else(|| name.split_once('.').filter(|(user, _)| is_user(user)))
        .filter(|(user, group)| !user.is_empty() && !group.is_empty());
    match (two, &wish.place) {
        (Some((user, group)), Place::Text(..)) => no_such("user", name, &wish.place)
            .help(format!(
                "user and group are two keys:\nuser = {}\ngroup = {}",
                quoted(user),
                quoted(group)
            ))
            .into(),
        _ => unknown(wish, "user", name, "useradd --system"),
    }
}

fn no_such(what: &str, name: &str, place: &Place) -> Mistake {
    Mistake::new(format!("there is no {what} {}", quoted(name)))
        .at(place)
        .of_machine()
}

fn unknown(wish: &Located<NameOrId>, what: &str, name: &str, command: &str) -> Mistakes {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    no_such(what, name, &wish.place)
        .help(match is_number {
            true => {
                format!("text is always a name; for an id write the number without quotes: {name}")
            }
            false => format!("correct the name, or create it: {command} NAME"),
        })
        .into()
}

fn cannot_ask(wish: &Located<NameOrId>, what: &str, errno: Errno) -> Mistakes {
    let shown = match &wish.value {
        NameOrId::Name(name) => quoted(name),
        NameOrId::Id(id) => id.to_string(),
    };
    Mistake::new(format!(
        "cannot look up {what} {shown}: {}",
        errno.desc().to_lowercase()
    ))
    .at(&wish.place)
    .of_machine()
    .into()
}

fn no_worker_user(name: &str) -> Mistake {
    let help =
        format!("useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {name}");
    let message =
        format!("user {name} does not exist: the worker runs as the unassigned id {WORKER_ID}");
    Mistake::new(message)
        .help(format!("create it with: {help}"))
        .warning()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn host(privileged: bool, uid: u32) -> Host {
        Host {
            privileged,
            uid,
            gid: uid,
            groups: vec![uid],
            lowest_port: 0,
            env: BTreeMap::new(),
            handed: None,
        }
    }

    fn at<T>(value: T) -> Located<T> {
        Located::new(value, Place::Nowhere)
    }

    fn name(name: &str) -> Located<NameOrId> {
        at(NameOrId::Name(name.into()))
    }

    #[test]
    fn root_runs_programs_as_nobody_unless_told_otherwise() {
        let host = host(true, 0);
        let mut identities = Identities::new(&host);
        let chosen = identities.choose(Wish::default()).ok().unwrap();
        assert_ne!(identities.get(chosen.index).uid, 0);
        let root = name("root");
        let chosen = identities
            .choose(Wish {
                user: Some(&root),
                ..Wish::default()
            })
            .ok()
            .unwrap();
        let identity = identities.get(chosen.index);
        assert_eq!(
            (identity.uid, identity.gid, identity.groups.contains(&0)),
            (0, 0, true)
        );
    }

    #[test]
    fn text_is_a_name_and_a_number_an_id() {
        let host = host(true, 0);
        let mut identities = Identities::new(&host);
        let digits = name("0");
        assert!(
            identities
                .choose(Wish {
                    user: Some(&digits),
                    ..Wish::default()
                })
                .is_err()
        );
        let id = at(NameOrId::Id(0));
        let chosen = identities
            .choose(Wish {
                user: Some(&id),
                ..Wish::default()
            })
            .ok()
            .unwrap();
        assert_eq!(identities.get(chosen.index).user, "root");
    }

    #[test]
    fn an_id_without_a_user_needs_a_group() {
        let host = host(true, 0);
        let mut identities = Identities::new(&host);
        let (id, group) = (at(NameOrId::Id(3_999_999_999)), at(NameOrId::Id(7)));
        assert!(
            identities
                .choose(Wish {
                    user: Some(&id),
                    ..Wish::default()
                })
                .is_err()
        );
        let chosen = identities
            .choose(Wish {
                user: Some(&id),
                group: Some(&group),
                groups: None,
            })
            .ok()
            .unwrap();
        let expected = Identity {
            user: "3999999999".into(),
            uid: 3_999_999_999,
            gid: 7,
            groups: vec![],
            home: "/".into(),
            shell: "/bin/sh".into(),
        };
        assert_eq!(*identities.get(chosen.index), expected);
    }

    #[test]
    fn groups_that_are_named_are_exactly_those() {
        let host = host(true, 0);
        let mut identities = Identities::new(&host);
        let (user, groups) = (name("root"), [9, 3, 9].map(|id| at(NameOrId::Id(id))));
        let wish = Wish {
            user: Some(&user),
            group: None,
            groups: Some(&groups),
        };
        let chosen = identities.choose(wish).ok().unwrap();
        assert_eq!(identities.get(chosen.index).groups, [3, 9]);
        let again = identities.choose(wish).ok().unwrap();
        assert_eq!(again.index, chosen.index);
    }

    #[test]
    fn without_rights_everybody_is_the_invoking_user() {
        let host = host(false, 3_999_999_999);
        let mut identities = Identities::new(&host);
        let chosen = identities.choose(Wish::default()).ok().unwrap();
        assert_eq!((chosen.index, chosen.unavailable), (0, None));
        let root = name("root");
        let chosen = identities
            .choose(Wish {
                user: Some(&root),
                ..Wish::default()
            })
            .ok()
            .unwrap();
        let expected =
            "needs user root, but oxinetd runs as 3999999999 and only root may change users";
        assert_eq!(
            (chosen.index, chosen.unavailable.as_deref()),
            (0, Some(expected))
        );
        let own = at(NameOrId::Id(3_999_999_999));
        let group = at(NameOrId::Id(3_999_999_999));
        let wish = Wish {
            user: Some(&own),
            group: Some(&group),
            groups: None,
        };
        assert_eq!(identities.choose(wish).ok().unwrap().unavailable, None);
        assert!(identities.worker(None, true).ok().unwrap().is_none());
    }

    #[test]
    fn the_worker_is_never_root_nor_anyone_else() {
        let host = host(true, 0);
        let mut identities = Identities::new(&host);
        assert!(identities.worker(Some(&name("root")), false).is_err());
        let worker = identities
            .worker(Some(&name("no-such-user")), true)
            .ok()
            .unwrap()
            .unwrap();
        assert_eq!(
            (worker.uid, worker.gid, worker.groups),
            (65533, 65533, vec![])
        );
        assert_eq!(identities.warnings.len(), 1);
        identities
            .worker(Some(&name("no-such-user")), false)
            .ok()
            .unwrap();
        assert_eq!(identities.warnings.len(), 1);
    }
}
