//! System calls without libc: all that a child may use while it shares our memory.
//!
//! libc's wrappers write `errno`, which in such a child is the supervisor's. All six registers are
//! set every time: prctl(2) refuses junk in those it does not use. On architectures without
//! assembly here libc is used after all; `super::Rung` then keeps the parent suspended meanwhile.

use super::child::Args;

/// Whether [`clone`] may let the parent go on while the child uses its memory.
pub(super) const CAN_SHARE_MEMORY: bool = cfg!(target_arch = "x86_64");

/// Makes a system call and returns what the kernel answered: a result, or minus an errno.
///
/// # Safety
/// The arguments must be valid for the call.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn call(number: libc::c_long, a: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel's convention: number in rax, rcx and r11 are lost, memory may be changed.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            out("rcx") _, out("r11") _,
            options(nostack),
        );
    }
    result
}

/// See the other one.
///
/// # Safety
/// The arguments must be valid for the call.
#[cfg(not(target_arch = "x86_64"))]
pub(super) unsafe fn call(number: libc::c_long, a: [usize; 6]) -> isize {
    // SAFETY: the caller's promise.
    let result = unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) };
    if result == -1 {
        -(nix::errno::Errno::last_raw() as isize)
    } else {
        result as isize
    }
}

/// clone(2): the child runs `child(args)` on the stack that ends at `stack_top`. Returns the child's
/// pid, or minus an errno.
///
/// # Safety
/// `stack_top` is the aligned end of memory that nobody else uses until the child has exec'd or
/// ended; `args` and `tid` stay valid as long.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn clone(
    flags: usize,
    stack_top: *mut u8,
    tid: *mut i32,
    child: unsafe extern "C" fn(*const Args) -> !,
    args: *const Args,
) -> isize {
    let result;
    // SAFETY: r12 and r13 survive the system call in both processes. The child comes back with the
    // new stack pointer, touches nothing of the old stack, and never returns.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") flags, in("rsi") stack_top, in("rdx") 0usize, in("r10") tid, in("r8") 0usize, in("r9") 0usize,
            in("r12") child, in("r13") args,
            out("rcx") _, out("r11") _,
        );
    }
    result
}

/// See the other one.
///
/// # Safety
/// As there.
#[cfg(not(target_arch = "x86_64"))]
pub(super) unsafe fn clone(
    flags: usize,
    stack_top: *mut u8,
    tid: *mut i32,
    child: unsafe extern "C" fn(*const Args) -> !,
    args: *const Args,
) -> isize {
    struct Start(unsafe extern "C" fn(*const Args) -> !, *const Args);
    extern "C" fn start(start: *mut libc::c_void) -> i32 {
        // SAFETY: `start` is below, in a frame that outlives the child's use of it (the parent is
        // suspended, or the memory is the child's own copy).
        let start = unsafe { &*start.cast::<Start>() };
        // SAFETY: the caller's promise.
        unsafe { (start.0)(start.1) }
    }
    let mut start_data = Start(child, args);
    // SAFETY: the caller's promise.
    let result = unsafe {
        let null = std::ptr::null_mut::<libc::c_void>();
        libc::clone(
            start,
            stack_top.cast(),
            flags as i32,
            (&raw mut start_data).cast(),
            null,
            null,
            tid,
        )
    };
    if result == -1 {
        -(nix::errno::Errno::last_raw() as isize)
    } else {
        result as isize
    }
}

/// What clone3(2) is told, as the kernel has it.
#[repr(C)]
#[derive(Default)]
pub(super) struct CloneArgs {
    pub(super) flags: u64,
    pub(super) pidfd: u64,
    pub(super) child_tid: u64,
    pub(super) parent_tid: u64,
    pub(super) exit_signal: u64,
    /// The lowest address, and how much there is from there.
    pub(super) stack: u64,
    pub(super) stack_size: u64,
    pub(super) tls: u64,
    pub(super) set_tid: u64,
    pub(super) set_tid_size: u64,
    pub(super) cgroup: u64,
}

/// clone3(2): as [`clone`], with all that this can be told.
///
/// # Safety
/// As there; the stack is that of `how`, with an aligned end.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn clone3(
    how: &CloneArgs,
    child: unsafe extern "C" fn(*const Args) -> !,
    args: *const Args,
) -> isize {
    let result;
    // SAFETY: as in `clone`. The kernel reads `how` and no more than its size before it returns.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") how, in("rsi") size_of::<CloneArgs>(), in("rdx") 0usize, in("r10") 0usize, in("r8") 0usize, in("r9") 0usize,
            in("r12") child, in("r13") args,
            out("rcx") _, out("r11") _,
        );
    }
    result
}

/// There is no assembly for it here.
///
/// # Safety
/// None is needed.
#[cfg(not(target_arch = "x86_64"))]
pub(super) unsafe fn clone3(
    _: &CloneArgs,
    _: unsafe extern "C" fn(*const Args) -> !,
    _: *const Args,
) -> isize {
    -(libc::ENOSYS as isize)
}
