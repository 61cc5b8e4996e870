//! Clients that vanish, programs that outlive them, and the limits that end both.

mod lifetime;
mod sockets;
