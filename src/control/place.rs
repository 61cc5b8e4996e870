//! Where the control socket is.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where root's server has it when nothing else is said.
pub const STANDARD_PLACE: &str = "/run/oxinetd/control";

/// Where the control socket is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Where commands look for it: [`Place::standard`].
    Standard,
    /// There is none.
    Nowhere,
    /// At this path, in a directory that is there.
    At(PathBuf),
}

impl FromStr for Place {
    type Err = Infallible;

    /// `none`, or a path.
    fn from_str(text: &str) -> Result<Place, Infallible> {
        Ok(match text {
            "none" => Place::Nowhere,
            path => Place::At(path.into()),
        })
    }
}

impl Place {
    /// The same place wherever we are.
    pub fn absolute(self) -> Place {
        match self {
            Place::At(path) => Place::At(std::path::absolute(&path).unwrap_or(path)),
            place => place,
        }
    }

    /// The standard path for a user: [`STANDARD_PLACE`] for root, else in the user's own run-time
    /// directory (XDG_RUNTIME_DIR), else in a directory of `/tmp` that must be the user's alone.
    pub fn standard(uid: u32) -> PathBuf {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        match (uid, runtime) {
            (0, _) => STANDARD_PLACE.into(),
            (_, Some(runtime)) if runtime.is_absolute() => runtime.join("oxinetd/control"),
            _ => format!("/tmp/oxinetd-{uid}/control").into(),
        }
    }

    /// Whether a directory is this user's (or root's) and nobody else may write to it. A link to
    /// such a directory is not one.
    pub fn is_safe(directory: &Path, uid: u32) -> bool {
        use std::os::unix::fs::MetadataExt;
        std::fs::symlink_metadata(directory).is_ok_and(|metadata| {
            let is_ours = metadata.uid() == uid || metadata.uid() == 0;
            metadata.is_dir() && is_ours && metadata.mode() & 0o022 == 0
        })
    }
}
