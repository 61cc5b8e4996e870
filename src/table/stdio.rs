//! What a program is given as standard input and output.

use serde::{Deserialize, Serialize};

/// `stdio`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stdio {
    /// The client's socket itself.
    #[default]
    Socket,
    /// Pipes, whose other ends the worker has.
    Pipe {
        /// Whether the client's lines end in CRLF and the program's in LF.
        newline: bool,
    },
    /// A terminal, whose other end the worker has.
    Terminal {
        /// As for pipes.
        newline: bool,
        /// What it is like.
        terminal: Terminal,
    },
}

/// `pty`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terminal {
    /// What the program finds in TERM.
    pub term: String,
    /// Its height, in lines.
    pub rows: u16,
    /// Its width, in characters.
    pub columns: u16,
    /// Whether bytes pass as they are: no line editing, no keys with a meaning, no echo.
    pub raw: bool,
    /// Whether it shows what is typed.
    pub echo: bool,
}

impl Default for Terminal {
    fn default() -> Terminal {
        Terminal {
            term: "xterm".into(),
            rows: 24,
            columns: 80,
            raw: false,
            echo: true,
        }
    }
}

impl Stdio {
    /// Whether the worker stands between client and program.
    pub fn is_relayed(&self) -> bool {
        !matches!(self, Stdio::Socket)
    }

    /// The terminal, where it is one.
    pub fn terminal(&self) -> Option<&Terminal> {
        match self {
            Stdio::Terminal { terminal, .. } => Some(terminal),
            _ => None,
        }
    }
}
