//! What a program is given as standard input and output.

use serde::{Deserialize, Serialize};

/// `stdio`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdio {
    /// The client's socket itself.
    #[default]
    Socket,
    /// Pipes, whose other ends the worker has.
    Pipe {
        /// Whether the client's lines end in CRLF and the program's in LF.
        newline: bool,
    },
}

impl Stdio {
    /// Whether the worker stands between client and program.
    pub fn is_relayed(&self) -> bool {
        !matches!(self, Stdio::Socket)
    }
}
