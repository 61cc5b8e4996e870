//! A service's plan: all that its children read, made once and in the kernel's form.

use super::child::{NO_NICE, RawLimit, RawPlan};
use std::ffi::{CStr, CString, NulError, c_char};

/// What a plan is made from.
#[derive(Debug, Clone, Default)]
pub struct PlanSpec<'a> {
    /// What to exec.
    pub path: &'a str,
    /// All arguments, argv\[0\] included.
    pub argv: &'a [String],
    /// Variables in front of those of the single launch, as `NAME=value`.
    pub env_before: Vec<String>,
    /// Variables behind them.
    pub env_after: Vec<String>,
    /// A file for descriptor 2, opened by the child.
    pub stderr_file: Option<&'a str>,
    /// Number (RLIMIT_*), soft and hard value of each limit.
    pub limits: Vec<(u32, u64, u64)>,
    /// Nice value to set.
    pub nice: Option<i8>,
    /// File mode creation mask.
    pub umask: u32,
    /// New root directory.
    pub chroot: Option<&'a str>,
    /// Working directory; empty for `/`.
    pub directory: &'a str,
    /// Whom to become; `None` stays who we are.
    pub identity: Option<Identity<'a>>,
    /// Whether to set no_new_privs.
    pub no_new_privileges: bool,
    /// Whether all that it starts must be found: it gets a control group of its own where that is
    /// possible ([`super::Spawner::use_groups`]), else it adopts what its descendants leave behind
    /// (PR_SET_CHILD_SUBREAPER).
    pub keeps_tree: bool,
    /// Whether what it gets as descriptor 0 is a terminal, which is to be its controlling one.
    pub has_terminal: bool,
}

/// Whom a child becomes.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups, all of them.
    pub groups: &'a [u32],
}

/// See the module. Never changes, and its pointers point into itself.
#[derive(Debug)]
pub struct Plan {
    raw: RawPlan,
    _strings: Vec<CString>,
    _argv: Vec<*const c_char>,
    _limits: Vec<RawLimit>,
    _groups: Vec<u32>,
    environment: (Vec<CString>, Vec<CString>),
}

impl std::fmt::Debug for RawPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawPlan")
            .field("uid", &self.uid)
            .field("gid", &self.gid)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RawLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.resource, self.soft, self.hard)
    }
}

impl Plan {
    /// Makes one. The only error is a NUL inside a string.
    pub fn new(spec: &PlanSpec) -> Result<Plan, NulError> {
        let mut strings = Vec::new();
        // The heap buffer of a CString stays where it is when the CString moves.
        let mut keep = |text: &str| -> Result<*const c_char, NulError> {
            strings.push(CString::new(text)?);
            Ok(strings[strings.len() - 1].as_ptr())
        };
        let mut keep_optional = |text: Option<&str>| text.map_or(Ok(std::ptr::null()), &mut keep);
        let stderr_file = keep_optional(spec.stderr_file)?;
        let chroot = keep_optional(spec.chroot)?;
        let path = keep(spec.path)?;
        let directory = keep(if spec.directory.is_empty() {
            "/"
        } else {
            spec.directory
        })?;
        let mut argv = spec
            .argv
            .iter()
            .map(|word| keep(word))
            .collect::<Result<Vec<_>, _>>()?;
        argv.push(std::ptr::null());
        let limits: Vec<RawLimit> = spec
            .limits
            .iter()
            .map(|(resource, soft, hard)| RawLimit {
                resource: *resource as usize,
                soft: *soft,
                hard: *hard,
            })
            .collect();
        let groups = spec
            .identity
            .map_or(Vec::new(), |identity| identity.groups.to_vec());
        let raw = RawPlan {
            path,
            argv: argv.as_ptr(),
            stderr_file,
            limits: limits.as_ptr(),
            limit_count: limits.len(),
            nice: spec.nice.map_or(NO_NICE, i32::from),
            umask: spec.umask,
            chroot,
            directory,
            becomes: spec.identity.is_some(),
            uid: spec.identity.map_or(0, |identity| identity.uid),
            gid: spec.identity.map_or(0, |identity| identity.gid),
            groups: groups.as_ptr(),
            group_count: groups.len(),
            no_new_privileges: spec.no_new_privileges,
            keeps_tree: spec.keeps_tree,
            has_terminal: spec.has_terminal,
        };
        let environment = (c_strings(&spec.env_before)?, c_strings(&spec.env_after)?);
        Ok(Plan {
            raw,
            _strings: strings,
            _argv: argv,
            _limits: limits,
            _groups: groups,
            environment,
        })
    }

    pub(super) fn raw(&self) -> *const RawPlan {
        &raw const self.raw
    }

    pub(super) fn keeps_tree(&self) -> bool {
        self.raw.keeps_tree
    }

    /// Whom children become, if they are not to stay who we are.
    pub fn user(&self) -> Option<u32> {
        self.raw.becomes.then_some(self.raw.uid)
    }

    pub(super) fn group_count(&self) -> usize {
        self.raw.group_count
    }

    pub(super) fn environment_before(&self) -> impl Iterator<Item = &CStr> {
        self.environment.0.iter().map(CString::as_c_str)
    }

    pub(super) fn environment_after(&self) -> impl Iterator<Item = &CStr> {
        self.environment.1.iter().map(CString::as_c_str)
    }
}

fn c_strings(texts: &[String]) -> Result<Vec<CString>, NulError> {
    texts
        .iter()
        .map(|text| CString::new(text.as_str()))
        .collect()
}
