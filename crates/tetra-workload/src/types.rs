//! Number formats: how many bits an element takes in memory, and at which rate a MAC array multiplies it.

/// A number format as stored. Block formats include their shared scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// IEEE single, 32 bits.
    Fp32,
    /// bfloat16, 16 bits.
    Bf16,
    /// IEEE half, 16 bits.
    Fp16,
    /// 8-bit float (OCP E4M3 or E5M2), scale per tensor or block of 128: 8 bits.
    Fp8,
    /// 8-bit float, one 8-bit scale per 32 elements (OCP MX v1.0).
    Mxfp8,
    /// 8-bit integer.
    Int8,
    /// 4-bit float, one 8-bit scale per 32 elements (OCP MX v1.0).
    Mxfp4,
    /// 4-bit float, one 8-bit scale per 16 elements (NVFP4).
    Nvfp4,
    /// 4-bit integer, one 16-bit scale per 32 elements.
    Int4,
}

/// What a MAC array multiplies: its rate depends on this, not on the stored format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacType {
    /// 32-bit float.
    Fp32,
    /// 16-bit float of either kind.
    Fp16,
    /// 8-bit float.
    Fp8,
    /// 8-bit integer.
    Int8,
    /// 4-bit float.
    Fp4,
}

impl DataType {
    /// Bits per element in memory, scales included, in sixteenths so that it stays an integer.
    pub const fn sixteenth_bits(self) -> u64 {
        match self {
            Self::Fp32 => 512,
            Self::Bf16 | Self::Fp16 => 256,
            Self::Fp8 | Self::Int8 => 128,
            Self::Mxfp8 => 132,
            Self::Mxfp4 => 68,
            Self::Nvfp4 | Self::Int4 => 72,
        }
    }

    /// Bytes per element in memory, scales included.
    pub const fn bytes(self) -> f64 {
        self.sixteenth_bits() as f64 / 128.0
    }

    /// Bytes of `elements` of them, rounded up.
    pub const fn bytes_of(self, elements: u64) -> u64 {
        elements.saturating_mul(self.sixteenth_bits()).div_ceil(128)
    }

    /// Whether scales lie along the summed dimension, so that products that sum over the other one need elements of their own.
    pub const fn scaled_by_block(self) -> bool {
        matches!(self, Self::Mxfp8 | Self::Mxfp4 | Self::Nvfp4)
    }

    /// The MAC that multiplies two of them natively.
    pub const fn mac(self) -> MacType {
        match self {
            Self::Fp32 => MacType::Fp32,
            Self::Bf16 | Self::Fp16 => MacType::Fp16,
            Self::Fp8 | Self::Mxfp8 => MacType::Fp8,
            Self::Int8 => MacType::Int8,
            Self::Mxfp4 | Self::Nvfp4 => MacType::Fp4,
            // 4-bit integer weights are widened to 16-bit floats before they are multiplied (weight-only quantisation).
            Self::Int4 => MacType::Fp16,
        }
    }
}

/// Formats of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Precision {
    /// Weights of attention and dense feed-forward layers.
    pub weights: DataType,
    /// Weights of routed and shared experts.
    pub expert_weights: DataType,
    /// Inputs of those matrix products.
    pub activations: DataType,
    /// Inputs of expert products.
    pub expert_activations: DataType,
    /// Embedding and output-head weights.
    pub vocabulary: DataType,
    /// The KV cache.
    pub kv: DataType,
    /// Operands of the attention products QK and AV.
    pub attention: DataType,
    /// What moves between ops and over links (residual stream, partial sums after reduction).
    pub residual: DataType,
}

impl Precision {
    /// The usual run at one format: residual stream and vocabulary stay at 16 bits; attention at 16 bits below 8-bit formats too.
    pub const fn uniform(format: DataType) -> Self {
        let wide = match format {
            DataType::Fp32 => DataType::Fp32,
            DataType::Fp16 => DataType::Fp16,
            _ => DataType::Bf16,
        };
        let kv = match format {
            DataType::Fp32 | DataType::Bf16 | DataType::Fp16 => wide,
            _ => DataType::Fp8,
        };
        let activations = match format {
            DataType::Int4 => DataType::Bf16,
            f => f,
        };
        Self {
            weights: format,
            expert_weights: format,
            activations,
            expert_activations: activations,
            vocabulary: wide,
            kv,
            attention: wide,
            residual: wide,
        }
    }
}

/// A word that names no number format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a number format: write one of fp32, bf16, fp16, fp8, mxfp8, int8, mxfp4, nvfp4, int4, fp4, fp8-cs, fp8-mx, amp_bf16"
)]
pub struct FormatError(pub String);

impl std::str::FromStr for DataType {
    type Err = FormatError;

    /// Reads the words that papers, frameworks, engines and tables of measurements use. Plain `fp4` is NVFP4; `fp8-cs` (current scaling) is FP8
    /// with one scale per tensor, `fp8-mx` MXFP8; `amp_bf16` computes in bfloat16; `w4a16`, `awq` and `gptq` quantise weights to INT4.
    fn from_str(text: &str) -> Result<Self, FormatError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "fp32" | "float32" | "tf32" | "f32" => Ok(Self::Fp32),
            "bf16" | "bfloat16" | "amp_bf16" => Ok(Self::Bf16),
            "fp16" | "float16" | "f16" | "half" | "amp_fp16" => Ok(Self::Fp16),
            "fp8" | "fp8-cs" | "fp8_block" | "fp8_static" | "fp8_e4m3" | "e4m3" | "float8_e4m3fn" => Ok(Self::Fp8),
            "mxfp8" | "fp8-mx" => Ok(Self::Mxfp8),
            "int8" | "w8a8" => Ok(Self::Int8),
            "mxfp4" | "fp4-mx" | "w4a16_mxfp4" => Ok(Self::Mxfp4),
            "nvfp4" | "fp4" => Ok(Self::Nvfp4),
            "int4" | "int4_wo" | "w4a16" | "awq" | "gptq" => Ok(Self::Int4),
            _ => Err(FormatError(text.chars().take(64).collect())),
        }
    }
}

impl DataType {
    /// The narrowest format that a table's text names: `FP8 (delayed scaling)`, `fp8_hybrid` and `float8 rowwise` are FP8, `FP8-MX` MXFP8, `bf16-mixed` bfloat16.
    pub fn told(text: &str) -> Option<Self> {
        const WORDS: [(&[&str], DataType); 8] = [
            (&["nvfp4", "fp4"], DataType::Nvfp4),
            (&["mxfp8"], DataType::Mxfp8),
            (&["fp8", "float8", "e4m3"], DataType::Fp8),
            (&["int8"], DataType::Int8),
            (&["bf16", "bfloat16"], DataType::Bf16),
            (&["fp16", "float16", "half"], DataType::Fp16),
            (&["fp32", "float32", "tf32"], DataType::Fp32),
            (&["mixed"], DataType::Bf16),
        ];
        let plain: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let scaled = |format| if plain.contains("mx") && format == Self::Fp8 { Self::Mxfp8 } else { format };
        let named = || WORDS.iter().find(|(words, _)| words.iter().any(|w| plain.contains(w))).map(|(_, format)| scaled(*format));
        text.parse().ok().or_else(named)
    }
}

impl std::str::FromStr for Precision {
    type Err = FormatError;

    /// The usual run at a named format.
    fn from_str(text: &str) -> Result<Self, FormatError> {
        text.parse().map(Self::uniform)
    }
}

impl Precision {
    /// The same run with the weights of experts in another format; INT4 and MXFP4 weights are widened before they are multiplied.
    pub const fn with_experts(mut self, format: DataType) -> Self {
        self.expert_weights = format;
        self.expert_activations = match format {
            DataType::Int4 | DataType::Mxfp4 => DataType::Bf16,
            f => f,
        };
        self
    }
}
