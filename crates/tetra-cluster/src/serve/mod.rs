//! Serving in steady state: what is asked, how an instance is laid out, and what comes out of it.
//!
//! Continuous batching (Yu et al. 2022, "Orca"): every step makes one token for each of `N` running sequences, and prompts join between steps. With
//! prompts of `T_p` (what a prompt adds to the steps it joins), `O` output tokens and a decode step of `t(N)`, one turn of a sequence takes
//! `N·T_p + (O - 1)·t(N)`, in which `N·O` tokens are made; so `TPOT = t(N) + (N - 1)·T_p / (O - 1)`. Prefill and decode on separate
//! workers (Zhong et al. 2024, "DistServe"): `TPOT = t(N)`, and the slower side sets the rate.
//!
//! Leaves out: prefix caching, speculative decoding and multi-token prediction (one token per step and sequence), preemption, ragged lengths.

mod apart;
mod ask;
mod bound;
mod constants;
mod kv;
mod layout;
mod misfit;
mod predict;
mod rows;
mod search;
mod service;
mod serving;
mod space;
mod splits;
mod steady;
mod step;

pub use ask::{Arrivals, ServeAsk};
pub use bound::{Bound, Demand, bound};
pub use constants::ServeConstants;
pub use kv::{ServeMemory, memory};
pub use layout::{Mode, ServeLayout, Split};
pub use misfit::{Refusal, ServeMisfit};
pub use predict::{Bench, InferencePrediction, Prediction, predict, predict_inference};
pub use rows::{InferenceRow, ServingRow, WorkerRow, precision_of, split_of};
pub use search::search;
pub use service::{Limits, Service};
pub use serving::{Serving, TpotParts, TtftParts};
pub use space::{Given, Goal, SearchSpace};
pub use splits::candidates;
pub use steady::steady;
pub use step::{StepCost, StepParts};
