//! The `tetra` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    tetra::main()
}
