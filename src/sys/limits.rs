//! This process: limits, memory and rights that are set once at start.

use super::Errno;
use serde::{Deserialize, Serialize};

/// The resources of setrlimit(2), by the last part of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Address space, bytes.
    As,
    /// Core file, bytes.
    Core,
    /// Processor time, seconds.
    Cpu,
    /// Data segment, bytes.
    Data,
    /// Largest file, bytes.
    Fsize,
    /// Locked memory, bytes.
    Memlock,
    /// One more than the highest descriptor.
    Nofile,
    /// Processes of the user.
    Nproc,
    /// Stack, bytes.
    Stack,
}

/// The number of a resource (setrlimit(2)).
pub fn resource_number(resource: Resource) -> u32 {
    let number = match resource {
        Resource::As => libc::RLIMIT_AS,
        Resource::Core => libc::RLIMIT_CORE,
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::Fsize => libc::RLIMIT_FSIZE,
        Resource::Memlock => libc::RLIMIT_MEMLOCK,
        Resource::Nofile => libc::RLIMIT_NOFILE,
        Resource::Nproc => libc::RLIMIT_NPROC,
        Resource::Stack => libc::RLIMIT_STACK,
    };
    #[allow(
        clippy::unnecessary_cast,
        reason = "the type differs between C libraries"
    )]
    return number as u32;
}

/// Soft and hard limit on descriptors.
pub fn nofile() -> Result<(u64, u64), Errno> {
    nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
}

/// Raises the soft limit on descriptors to the hard one, and returns what it now is.
pub fn raise_nofile() -> Result<u64, Errno> {
    let (_, hard) = nofile()?;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// Makes our memory unreadable to others (no core files either). A change of uid in a child that
/// shares it does the same; this does it from the start.
pub fn forbid_dumps() -> Result<(), Errno> {
    nix::sys::prctl::set_dumpable(false)
}

/// Gives back to the system what was freed of our memory: after a table was read that is more than what
/// is kept of it. Only some C libraries keep it at all.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: changes nothing that is in use (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Empties the inheritable and ambient capability sets, so that no program is given a right that
/// only the server was meant to have.
pub fn keep_capabilities_to_ourselves() -> Result<(), Errno> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    // Effective, permitted and inheritable, for the lower and the upper 32 (capget(2)).
    let mut data = [0u32; 6];
    // SAFETY: header and data have the layout of version 3.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), data.as_mut_ptr()) })?;
    if data[2] == 0 && data[5] == 0 {
        return Ok(());
    }
    // The kernel takes out of the ambient set what is not inheritable.
    (data[2], data[5]) = (0, 0);
    // SAFETY: likewise.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) })
        .map(drop)
}

/// Where the running binary can be exec'd again: /proc's link, which works even after the file was
/// replaced, else the path that we were started with.
pub fn own_binary() -> String {
    if std::path::Path::new("/proc/self/exe").exists() {
        return "/proc/self/exe".into();
    }
    // SAFETY: the kernel's own string, there for the life of the process; null is checked.
    unsafe {
        let path = libc::getauxval(libc::AT_EXECFN) as *const std::ffi::c_char;
        if path.is_null() {
            return String::new();
        }
        std::ffi::CStr::from_ptr(path)
            .to_string_lossy()
            .into_owned()
    }
}
