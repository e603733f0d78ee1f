//! Errors of a model's config file, each with place, cause and mend.

/// One mistake in a config file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {subject}{cause}: {mend}", subject = if key.is_empty() { String::new() } else { format!("key \"{key}\" ") })]
pub struct ConfigError {
    /// Name of the config.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The key, with its path; empty when the file as a whole is wrong.
    pub key: String,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub mend: String,
}
