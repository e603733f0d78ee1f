//! Training libraries by year, each a file of `data/frameworks`: what is fused, what overlaps, how gradients are summed, what is recomputed.
//!
//! The files are part of this crate as text, so that a library can be named where no tables are at hand. Rates and overheads lie in the tables
//! (`training_kernels`, `training_overlap`), one for all libraries that share a property.
//!
//! Leaves out: how well a library tunes itself to a chip.

use tetra_chip::section::{Errors, Section, read_sections};
use tetra_chip::{Chip, ChipError};
use tetra_quantity::Bytes;
use tetra_workload::DataType;

use crate::train::layout::{Recompute, StateSharding};

/// Attention kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AttentionKernels {
    /// Scores go through memory and are dropped out.
    Unfused,
    /// Fused, the arrays fed from the scratchpad (first FlashAttention generation).
    First,
    /// Fused, fed from registers by the instructions of one warp (second generation).
    Second,
    /// Fused, as the mapper times them.
    Fused,
}

/// A training library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Framework {
    /// Attention kernels.
    pub attention: AttentionKernels,
    /// Whether communication runs beside compute.
    pub overlaps: bool,
    /// Whether the product that makes a gradient adds it to those of earlier microbatches.
    pub adds_gradients: bool,
    /// Whether replicas that split optimiser state receive the sums of their part only.
    pub scatters_gradients: bool,
    /// Whether recomputation ends once the last product has its input.
    pub stops_early: bool,
    /// Whether selective recomputation repeats every other layer or product instead of the attention core.
    pub every_other: bool,
    /// Whether it can make only cheap results again and lay what whole layers keep in the host's memory.
    pub relieves: bool,
    /// Whether gradients of biases, of norms' weights and of queries, keys and values together have kernels of their own.
    pub eager: bool,
    /// Whether a layer's computation hides the gathers of the next layer and the scatter of the last one where all state is split: the ends are left.
    pub gathers_ahead: bool,
    /// Whether weights are gathered in the narrow format in which they are multiplied; else in 16 bits, and each chip narrows them.
    pub gathers_narrow: bool,
    /// Whether gradients of bfloat16 weights are summed in 32 bits.
    pub wide_sums: bool,
    /// How state is spread unless a job says otherwise.
    pub sharding: StateSharding,
    /// Bytes of the buffers in which the library collects gradients and weights for exchange.
    pub buffers: u64,
}

const FILES: [(&str, &str); 7] = [
    ("megatron-2021", include_str!("../../../../data/frameworks/megatron-2021.toml")),
    ("megatron-2022", include_str!("../../../../data/frameworks/megatron-2022.toml")),
    ("megatron-deepspeed", include_str!("../../../../data/frameworks/megatron-deepspeed.toml")),
    ("megatron-core", include_str!("../../../../data/frameworks/megatron-core.toml")),
    ("fsdp-2023", include_str!("../../../../data/frameworks/fsdp-2023.toml")),
    ("torchtitan", include_str!("../../../../data/frameworks/torchtitan.toml")),
    ("maxtext", include_str!("../../../../data/frameworks/maxtext.toml")),
];

impl Framework {
    /// Names of all libraries.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(name, _)| *name)
    }

    /// The library of a name.
    pub fn named(name: &str) -> Option<Self> {
        let (name, text) = FILES.iter().find(|(n, _)| *n == name)?;
        Self::from_toml(name, text).ok()
    }

    /// Today's: fused kernels, communication beside compute.
    #[expect(clippy::expect_used, reason = "the file is part of the crate")]
    pub fn today() -> Self {
        Self::named("megatron-core").expect("megatron-core.toml is well formed: `all_frameworks_are_well_formed`")
    }

    /// Reads a library from its file.
    ///
    /// # Errors
    /// Every mistake of the text.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, Vec<ChipError>> {
        read_sections(name, text, read)
    }

    /// The library that a table's words or columns tell. `DeepSpeed`, `ZeRO`, `FSDP2` and the modes of PyTorch's FSDP name it. Else half precision, and on chips before bfloat16
    /// was usual jobs split over tensors that recompute all without sequence parallelism, belong to the Megatron-LM of 2021, with sequence parallelism to that of 2022; runs
    /// that cast 32-bit weights (`amp_…`) to PyTorch's FSDP of 2023, other bfloat16 runs in which nothing is split to its FSDP2; all others are today's.
    pub fn of_row(words: &str, job: &RowSigns, chip: &Chip, bf16_from_year: u16) -> Self {
        let old = match job.format {
            DataType::Fp16 => true,
            _ => chip.year < bf16_from_year && job.tensor_split && !job.sequence_parallel && job.recompute == Some(Recompute::Full),
        };
        let has = |list: &[&str]| list.iter().any(|w| words.contains(w));
        let name = if old && has(&["DeepSpeed", "ZeRO"]) {
            "megatron-deepspeed"
        } else if old && job.sequence_parallel {
            "megatron-2022"
        } else if old {
            "megatron-2021"
        } else if has(&["FSDP2"]) {
            "torchtitan"
        } else if has(&["FULL_SHARD", "SHARD_GRAD_OP"]) || job.autocast {
            "fsdp-2023"
        } else if job.format == DataType::Bf16 && job.unsplit && !has(&["FSDP="]) {
            "torchtitan"
        } else if !chip.links.scale_up_switched {
            "maxtext"
        } else {
            "megatron-core"
        };
        Self::named(name).unwrap_or_else(Self::today)
    }
}

/// What of a row tells its library.
#[derive(Debug, Clone, Copy)]
pub struct RowSigns {
    /// Format of weights.
    pub format: DataType,
    /// Whether tensors are split.
    pub tensor_split: bool,
    /// Whether the row states that tensors, stages and experts are not split, and no sequence is.
    pub unsplit: bool,
    /// Whether 32-bit weights are cast for each product.
    pub autocast: bool,
    /// Whether the row states sequence parallelism.
    pub sequence_parallel: bool,
    /// Recomputation.
    pub recompute: Option<Recompute>,
}

fn read(errors: &mut Errors<'_>, mut s: Section<'_, '_>) -> Option<Framework> {
    let (_, _) = (s.word(errors, "name"), s.word(errors, "source"));
    let attention = choice(errors, &mut s, "attention", &ATTENTION);
    let [overlaps, adds_gradients, scatters_gradients, stops_early, relieves] =
        ["overlaps", "adds_gradients", "scatters_gradients", "stops_early", "relieves"].map(|key| s.flag(errors, key));
    let [eager, gathers_ahead, gathers_narrow, wide_sums] =
        ["eager", "gathers_ahead", "gathers_narrow", "wide_sums"].map(|key| s.flag(errors, key));
    let every_other = choice(errors, &mut s, "selective", &[("core", false), ("every-other", true)]);
    let sharding = choice(errors, &mut s, "sharding", &SHARDING);
    let buffers = s.quantity::<Bytes>(errors, "buffers", 0.0, MOST_BUFFERS);
    s.finish(errors);
    Some(Framework {
        attention: attention?,
        overlaps: overlaps?,
        adds_gradients: adds_gradients?,
        scatters_gradients: scatters_gradients?,
        stops_early: stops_early?,
        every_other: every_other?,
        relieves: relieves?,
        eager: eager?,
        gathers_ahead: gathers_ahead?,
        gathers_narrow: gathers_narrow?,
        wide_sums: wide_sums?,
        sharding: sharding?,
        buffers: buffers?.value() as u64,
    })
}

/// No library keeps more.
const MOST_BUFFERS: f64 = 1e12;
const ATTENTION: [(&str, AttentionKernels); 4] = [
    ("unfused", AttentionKernels::Unfused),
    ("first", AttentionKernels::First),
    ("second", AttentionKernels::Second),
    ("fused", AttentionKernels::Fused),
];
const SHARDING: [(&str, StateSharding); 4] = [
    ("none", StateSharding::None),
    ("optimizer", StateSharding::Optimizer),
    ("gradients", StateSharding::Gradients),
    ("full", StateSharding::Full),
];

/// The value that a word stands for.
fn choice<T: Copy>(errors: &mut Errors<'_>, s: &mut Section<'_, '_>, key: &str, words: &[(&str, T)]) -> Option<T> {
    let span = s.span.clone();
    let word = s.word(errors, key)?;
    let found = words.iter().find(|(w, _)| *w == word).map(|(_, value)| *value);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
        errors.push(span, format!("\"{key}\" is \"{word}\""), &format!("write one of: {}", known.join(", ")));
    }
    found
}
