//! What can go wrong before or while a plan is made. A plan that does not exist is not an error but a `Conflict`.

/// Broken input, or a solver that gave up.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A number of the input is negative, not finite or of the wrong length.
    #[error("{what} is {found}, which is not {wanted}: correct it")]
    BadNumber {
        /// Which number.
        what: String,
        /// What was read.
        found: String,
        /// What is needed.
        wanted: &'static str,
    },
    /// The input asks for nothing, or names something that is not there.
    #[error("{what}: {mend}")]
    BadInput {
        /// What is wrong.
        what: String,
        /// What to do.
        mend: &'static str,
    },
    /// `suppliers.toml` cannot be read.
    #[error("suppliers.toml:{cause}: correct the TOML; a supplier has name, stage and country")]
    BadSuppliers {
        /// What is wrong.
        cause: String,
    },
    /// A row of the tables is missing or broken.
    #[error(transparent)]
    Data(#[from] tetra_quantity::DataError),
    /// The solver stopped without an answer inside its node limit.
    #[error("the solver stopped with \"{status}\" while it {doing}: raise the node limit or simplify the plan")]
    Stopped {
        /// HiGHS's word for the state.
        status: &'static str,
        /// What it was asked.
        doing: &'static str,
    },
}
