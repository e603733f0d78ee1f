//! The door of Tetra: reads files, calls the other crates, shows what they answer. No formula lives here.

mod cli;
mod columns;
mod failure;
mod files;
mod page;
mod progress;
mod show;
mod verbs;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;

pub use failure::Failure;
pub use files::{Library, Output, Texts, read_folder, read_text};

/// Runs the command of this process; the exit code is 0 fits, 1 does not fit, 2 broken input, 3 a fault of ours.
pub fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    std::panic::set_hook(Box::new(|info| {
        let _ = writeln!(std::io::stderr(), "{}", Failure::Fault(info.to_string()).text());
    }));
    match catch_unwind(AssertUnwindSafe(|| run(cli))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            let _ = writeln!(std::io::stderr(), "{}", failure.text());
            ExitCode::from(failure.code())
        }
        Err(_) => ExitCode::from(3),
    }
}

fn run(cli: cli::Cli) -> Result<(), Failure> {
    if let Some(threads) = cli.all.threads {
        let threads = usize::try_from(threads).unwrap_or(1);
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|e| Failure::Fault(e.to_string()))?;
    }
    let answer = verbs::answer(&cli)?;
    let text = if cli.all.json { answer.json()? } else { failure::plain(&answer.text) };
    let mut out = std::io::stdout();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        // A reader that closes the pipe early (`| head`) is not a fault.
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Input(vec![format!("standard output: {e}: free space or write elsewhere")]))
        }
        _ => Ok(()),
    }
}
