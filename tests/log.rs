//! The log: what is left out of it, and where it goes when nobody takes it.

mod limits;
