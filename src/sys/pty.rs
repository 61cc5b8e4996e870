//! Pseudo-terminals (pty(7), ioctl_tty(2)): a master for us, and a terminal for a program.

use super::fd::{own, raise};
use super::{Errno, pipe};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// How a new terminal is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
    /// Whether bytes pass as they are (cfmakeraw(3)).
    pub raw: bool,
    /// Whether what is typed is shown.
    pub echo: bool,
}

/// What it takes to tell a program the end of what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineEditing {
    /// Whether the terminal itself gathers lines (ICANON): then the byte below is an end of file, and
    /// never reaches the program.
    pub is_on: bool,
    /// The byte (VEOF).
    pub end: u8,
}

/// Makes one: our end, which never waits, above the descriptor floor, and the program's. It is
/// nobody's controlling terminal yet.
pub fn open(manner: Manner) -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    let path = c"/dev/ptmx".as_ptr();
    // SAFETY: the path is a constant.
    let master = Errno::result(unsafe { libc::open(path, flags | libc::O_NONBLOCK) })?;
    let master = raise(own(master));
    let unlocked = 0i32;
    // SAFETY: TIOCSPTLCK reads an int.
    let result = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) };
    Errno::result(result)?;
    // SAFETY: plain number; by descriptor, since the name may mean another terminal here.
    let slave = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    let slave = own(Errno::result(slave)?);
    set(&slave, manner)?;
    Ok((master, slave))
}

fn set(terminal: &OwnedFd, manner: Manner) -> Result<(), Errno> {
    let size = libc::winsize {
        ws_row: manner.rows,
        ws_col: manner.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCSWINSZ reads a winsize.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    Errno::result(result)?;
    let mut settings = settings(terminal.as_raw_fd())?;
    if manner.raw {
        // SAFETY: settings of ours.
        unsafe { libc::cfmakeraw(&mut settings) };
    } else {
        // So that erasing takes whole characters.
        settings.c_iflag |= libc::IUTF8;
        if !manner.echo {
            settings.c_lflag &= !libc::ECHO;
        }
    }
    // SAFETY: settings that were just filled in.
    let result = unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, &settings) };
    Errno::result(result).map(drop)
}

fn settings(terminal: i32) -> Result<libc::termios, Errno> {
    let mut settings = MaybeUninit::<libc::termios>::zeroed();
    // SAFETY: filled in by the call; zeroed before, which is a valid value.
    Errno::result(unsafe { libc::tcgetattr(terminal, settings.as_mut_ptr()) })?;
    // SAFETY: see above.
    Ok(unsafe { settings.assume_init() })
}

/// How the program's end edits lines now, asked at ours.
pub fn line_editing(master: BorrowedFd) -> Result<LineEditing, Errno> {
    let settings = settings(master.as_raw_fd())?;
    Ok(LineEditing {
        is_on: settings.c_lflag & libc::ICANON != 0,
        end: settings.c_cc[libc::VEOF],
    })
}

/// Reads what the program has written; 0 when nobody has the terminal open any more.
pub fn read(master: BorrowedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    match pipe::read(master, buffer) {
        Err(Errno::EIO) => Ok(0),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    const MANNER: Manner = Manner {
        rows: 5,
        columns: 77,
        raw: false,
        echo: false,
    };

    /// Reads what comes: the kernel passes it on in its own time.
    fn read_soon(master: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
        loop {
            match read(master.as_fd(), buffer) {
                Err(Errno::EAGAIN) => std::thread::yield_now(),
                result => return result,
            }
        }
    }

    #[test]
    fn lines_go_in_and_out_until_the_program_has_gone() {
        let (master, slave) = open(MANNER).unwrap();
        assert_eq!(super::super::terminal::columns(&slave), Some(77));
        let editing = LineEditing {
            is_on: true,
            end: 4,
        };
        assert_eq!(line_editing(master.as_fd()), Ok(editing));
        let mut buffer = [0; 16];
        pipe::write(master.as_fd(), b"a\n").unwrap();
        assert_eq!(pipe::read(slave.as_fd(), &mut buffer), Ok(2));
        pipe::write(slave.as_fd(), b"b\n").unwrap();
        assert_eq!(read_soon(&master, &mut buffer), Ok(3));
        assert_eq!(&buffer[..3], b"b\r\n");
        assert_eq!(read(master.as_fd(), &mut buffer), Err(Errno::EAGAIN));
        drop(slave);
        assert_eq!(read_soon(&master, &mut buffer), Ok(0));
    }

    #[test]
    fn raw_bytes_pass_as_they_are() {
        let (master, slave) = open(Manner {
            raw: true,
            echo: true,
            ..MANNER
        })
        .unwrap();
        pipe::write(master.as_fd(), b"\x04\r").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(pipe::read(slave.as_fd(), &mut buffer), Ok(2));
        assert_eq!(&buffer[..2], b"\x04\r");
        assert!(!line_editing(master.as_fd()).unwrap().is_on);
    }
}
