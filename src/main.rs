//! The binary; everything is in the library.

fn main() -> std::process::ExitCode {
    oxinetd::cli::main()
}
