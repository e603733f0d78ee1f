//! Constants of training: bytes of state and activations, overlap of communication, costs that grow with the job.

use std::f64::consts::{EULER_GAMMA, PI};

use tetra_chip::{Chip, OpCost};
use tetra_quantity::{Bytes, DataError, JoulesPerByte, Seconds, Tables};

/// Constants of a training step.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TrainConstants {
    /// Bytes of optimiser state per parameter (master weight and two moments).
    pub optimizer_bytes: f64,
    /// Bytes read by the optimiser per parameter.
    pub optimizer_read_bytes: f64,
    /// Bytes written by the optimiser per parameter.
    pub optimizer_write_bytes: f64,
    /// Bytes of logits and their gradient per token and vocabulary entry.
    pub logit_bytes: f64,
    /// Memory that runtime, communication buffers and fragmentation take.
    pub reserved_bytes: f64,
    /// Allocated over asked bytes of activations.
    pub fragmentation: f64,
    /// Leakage and clocks of a chip that is hot from a long run, as a share of its power cap: what is left for products is less than in a short bench.
    pub hot_static_fraction: f64,
    /// Operations per byte of scratchpad traffic of the first generation of fused attention.
    pub eager_attention_flop_per_byte: f64,
    /// The same of the second generation.
    pub second_attention_flop_per_byte: f64,
    /// Time of the first generation's backward pass over that of as many operations forward.
    pub eager_attention_backward: f64,
    /// Time of fused attention's backward pass over that of as many operations forward.
    pub attention_backward: f64,
    /// Share of tensor- and context-parallel communication that is exposed when libraries overlap it.
    pub tensor_exposed: f64,
    /// Share of stage-to-stage transfers that is exposed with an interleaved schedule.
    pub pipeline_exposed: f64,
    /// Share of expert exchange that is exposed.
    pub expert_exposed: f64,
    /// The same where it crosses domains in a pipeline: libraries then run it beside another microbatch's compute.
    pub expert_overlapped: f64,
    /// Share of gradient and weight exchange between replicas that is exposed when overlapped.
    pub data_exposed: f64,
    /// Share of gather and scatter of fully sharded state that is exposed.
    pub sharded_exposed: f64,
    /// Share of any exchange that is exposed where a compiler places it ahead of time.
    pub compiled_exposed: f64,
    /// Chips over which state is split at most; beyond them it is repeated. Not a number of the tables: the domain, where one program drives it.
    pub sharded_over: u64,
    /// Slowing of compute per second of communication hidden behind it.
    pub interference: f64,
    /// Host time per op when nothing is captured in a graph.
    pub dispatch_s: f64,
    /// Standard deviation of the time that replicas take for a step: it ends with the slowest. Chips that one program drives in step count as one.
    pub jitter: f64,
    /// Load of the fullest expert-parallel rank over the mean.
    pub expert_imbalance: f64,
    /// Clock tree and leakage under load as a share of the power cap.
    pub static_fraction: f64,
    /// Energy per byte on a scale-up link.
    pub scale_up_joules_per_byte: f64,
    /// Energy per byte from the package to its scale-out port.
    pub scale_out_joules_per_byte: f64,
}

/// Whether one program drives all chips of a domain and a compiler places every transfer ahead of time: the memory that cores share is addressed, not a cache.
pub(crate) fn compiled(chip: &Chip) -> bool {
    !chip.memory.global_is_cache
}

impl TrainConstants {
    /// The same for a chip: where a compiler places transfers, it exposes one share of all of them, and state is split inside a domain only.
    pub(crate) fn on(&self, chip: &Chip) -> Self {
        if !compiled(chip) {
            return *self;
        }
        let exposed = self.compiled_exposed;
        Self {
            tensor_exposed: exposed,
            data_exposed: exposed,
            sharded_exposed: exposed,
            pipeline_exposed: exposed,
            sharded_over: chip.links.scale_up_domain.max(1),
            ..*self
        }
    }

    /// Time of an op in a long run: its power must fit what a hot chip leaves. Energy falls with the square of the clock, time grows with its inverse.
    pub fn long_run(&self, cost: &OpCost, chip: &Chip) -> f64 {
        let time = cost.time.value();
        let budget = chip.power.cap.value() * (1.0 - self.hot_static_fraction).max(f64::EPSILON);
        let power = cost.energy.value() / time.max(f64::MIN_POSITIVE);
        time * (power / budget).max(1.0).sqrt()
    }

    /// How much longer than the mean the slowest of `replicas` takes: the expected largest of normal variables, `b + γ/r` with
    /// `b = r - (ln ln n + ln 4π)/(2r)` and `r = √(2 ln n)` (Cramér 1946, section 28.6); nothing for one.
    pub fn slowest_of(&self, replicas: u64) -> f64 {
        if replicas < 2 {
            return 0.0;
        }
        let log = (replicas as f64).ln();
        let root = (2.0 * log).sqrt();
        let lower = log.ln() + (4.0 * PI).ln() - 2.0 * EULER_GAMMA;
        self.jitter * (root - lower / (2.0 * root))
    }

    /// Reads them from the data tables.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(t: &Tables) -> Result<Self, DataError> {
        let bytes = |item, parameter| t.number(item, parameter, "B");
        let share = |item, parameter| t.number(item, parameter, "1");
        Ok(Self {
            optimizer_bytes: bytes("training_state", "optimizer")?,
            optimizer_read_bytes: bytes("optimizer_step", "read")?,
            optimizer_write_bytes: bytes("optimizer_step", "write")?,
            logit_bytes: bytes("training_state", "logit")?,
            reserved_bytes: t.quantity::<Bytes>("training_memory", "reserved")?.value(),
            fragmentation: share("training_memory", "fragmentation")?,
            hot_static_fraction: share("training_kernels", "hot_static")?,
            eager_attention_flop_per_byte: t.number("training_kernels", "eager_attention", "FLOP/B")?,
            second_attention_flop_per_byte: t.number("training_kernels", "second_attention", "FLOP/B")?,
            eager_attention_backward: share("training_kernels", "eager_attention_backward")?,
            attention_backward: share("training_kernels", "attention_backward")?,
            tensor_exposed: share("training_overlap", "tensor_exposed")?,
            pipeline_exposed: share("training_overlap", "pipeline_exposed")?,
            expert_exposed: share("training_overlap", "expert_exposed")?,
            expert_overlapped: share("training_overlap", "expert_overlapped")?,
            data_exposed: share("training_overlap", "data_exposed")?,
            sharded_exposed: share("training_overlap", "sharded_exposed")?,
            sharded_over: u64::MAX,
            compiled_exposed: share("training_overlap", "compiled_exposed")?,
            interference: share("training_overlap", "interference")?,
            dispatch_s: t.quantity::<Seconds>("training_host", "dispatch")?.value(),
            jitter: share("training_scale", "jitter")?,
            expert_imbalance: share("training_scale", "expert_imbalance")?,
            static_fraction: share("kernels", "static_fraction")?,
            scale_up_joules_per_byte: t.quantity::<JoulesPerByte>("scale_up", "energy")?.value(),
            scale_out_joules_per_byte: t.quantity::<JoulesPerByte>("scale_out", "energy")?.value(),
        })
    }
}

/// Rules for blank columns of tables.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct RowDefaults {
    /// Tokens per sequence.
    pub sequence: u64,
    /// The same where the model knows more.
    pub sequence_most: u64,
    /// Sequences per stage and replica.
    pub batch_per_stage: u64,
    /// Tokens of a step of a whole run of which neither the batch nor the chips are known.
    pub run_batch_tokens: u64,
    /// Width of a head.
    pub head_width: u64,
    /// Hidden width over layers.
    pub aspect: f64,
    /// Heads and layers of a model of which only the parameters are known are multiples of these.
    pub heads_of: u64,
    /// The same for layers.
    pub layers_of: u64,
    /// Vocabulary of models with gated feed-forward.
    pub gated_vocabulary: u64,
    /// Vocabulary of other models.
    pub plain_vocabulary: u64,
    /// First year of chips whose runs are taken as bfloat16 where no format is stated; half precision before.
    pub bf16_from_year: u16,
    /// Most layers that are believed.
    pub layers_max: u64,
}

impl RowDefaults {
    /// Reads them from the data tables.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(t: &Tables) -> Result<Self, DataError> {
        let count = |parameter| Ok::<u64, DataError>(t.number("blank_column", parameter, "1")? as u64);
        Ok(Self {
            sequence: count("sequence")?,
            sequence_most: count("sequence_most")?,
            batch_per_stage: count("batch_per_stage")?,
            run_batch_tokens: count("run_batch_tokens")?,
            head_width: count("head_width")?,
            aspect: t.number("blank_column", "aspect", "1")?,
            heads_of: count("heads_of")?,
            layers_of: count("layers_of")?,
            gated_vocabulary: count("gated_vocabulary")?,
            plain_vocabulary: count("plain_vocabulary")?,
            bf16_from_year: t.number("blank_column", "bf16_from_year", "1")? as u16,
            layers_max: count("layers_max")?,
        })
    }
}
