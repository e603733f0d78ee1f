//! How far a run is, told to whoever asked for it.

/// Told how far a run is; may be called from several threads.
pub trait Progress: Sync {
    /// A stage of `total` steps begins.
    fn start(&self, stage: &str, total: u64);
    /// That many steps more are done.
    fn step(&self, steps: u64);
    /// That many steps of the stage are done.
    fn at(&self, done: u64);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Quiet;

impl Progress for Quiet {
    fn start(&self, _: &str, _: u64) {}
    fn step(&self, _: u64) {}
    fn at(&self, _: u64) {}
}
