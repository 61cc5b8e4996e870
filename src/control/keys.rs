//! What is too long for a record goes to the worker as JSON in a file in memory: a service's admission
//! keys, lists of addresses (once for all services that have the same), and where clients are passed
//! on to.

use crate::sys::fd::memory_file;
use crate::table::{Acl, Address, Life, Rules};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;

/// The admission keys of a built-in service, without its lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys<'a> {
    /// The service's name.
    pub name: Cow<'a, str>,
    /// The keys.
    pub rules: Cow<'a, Rules>,
}

impl Keys<'_> {
    /// Writes them to a new file.
    pub fn to_file(&self) -> io::Result<OwnedFd> {
        write(self)
    }

    /// Reads them from such a file.
    pub fn from_file(file: OwnedFd) -> io::Result<Keys<'static>> {
        read(file)
    }
}

/// Writes `allow`, `deny` and `exempt` to a new file.
pub fn list_to_file(list: &Acl) -> io::Result<OwnedFd> {
    write(list)
}

/// Reads them from such a file.
pub fn list_from_file(file: OwnedFd) -> io::Result<Acl> {
    read(file)
}

/// Where a service's clients are passed on to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The addresses to try, in order.
    pub targets: Vec<Address>,
    /// How long that may take.
    pub life: Life,
}

impl Route {
    /// Writes it to a new file.
    pub fn to_file(&self) -> io::Result<OwnedFd> {
        write(self)
    }

    /// Reads it from such a file.
    pub fn from_file(file: OwnedFd) -> io::Result<Route> {
        read(file)
    }
}

fn write(what: &(impl Serialize + ?Sized)) -> io::Result<OwnedFd> {
    let mut file = File::from(memory_file(c"oxinetd keys")?);
    file.write_all(&serde_json::to_vec(what)?)?;
    Ok(file.into())
}

fn read<T: DeserializeOwned>(file: OwnedFd) -> io::Result<T> {
    let mut file = File::from(file);
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_the_way() {
        let rules = Rules {
            max_per_source: Some(7),
            ..Rules::default()
        };
        let keys = Keys {
            name: "echo".into(),
            rules: Cow::Borrowed(&rules),
        };
        assert_eq!(Keys::from_file(keys.to_file().unwrap()).unwrap(), keys);
    }

    #[test]
    fn a_file_that_holds_something_else_is_an_error() {
        let mut file = File::from(memory_file(c"test").unwrap());
        file.write_all(b"{").unwrap();
        assert!(Keys::from_file(file.into()).is_err());
    }
}
