//! A progress bar on a terminal; silence elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use tetra_study::Progress;

/// The bar of the stage under way.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar without a stage.
    pub fn new() -> Self {
        let style = ProgressStyle::with_template("{msg:20} {wide_bar} {pos}/{len}").unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::new(0).with_style(style))
    }
}

impl Progress for Bar {
    fn start(&self, stage: &str, total: u64) {
        self.0.set_position(0);
        self.0.set_length(total);
        self.0.set_message(stage.to_owned());
    }
    fn step(&self, steps: u64) {
        self.0.inc(steps);
    }
    fn at(&self, done: u64) {
        self.0.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
