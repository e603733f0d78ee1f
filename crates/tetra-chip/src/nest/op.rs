//! Text → problem: `gemm:2048x12288x12288`, `gemm:32x128x128x64` (batched), `conv:n=1,k=64,c=64,p=56,q=56,r=3,s=3,stride=1`,
//! `elementwise:4096x12288`, `reduce:4096x12288`, `gather:4096x7168`, `scatter:…`, `attention:…`, `mlp:…`; a type may follow: `…:fp16`.

use crate::nest::fused::Pair;
use crate::nest::machine::{Machine, Roles};
use crate::nest::problem::{Problem, Rank, Tensor, Work};

/// Largest rank.
const MOST: u64 = 1 << 30;
/// Most points of an op: its counts stay exact in 64 bits.
const MOST_POINTS: u128 = 1 << 58;
/// Longest text that is read.
const LONGEST: usize = 1000;

/// What can be mapped.
#[derive(Debug, Clone, PartialEq)]
pub enum MapOp {
    /// One op.
    One(Problem),
    /// A producer and a consumer whose middle tensor may stay on chip.
    Pair(Pair),
}

/// Why a text is no op.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("op \"{text}\": {cause}: {mend}")]
pub struct OpError {
    text: String,
    cause: String,
    mend: &'static str,
}

/// Widths of an op's values in bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bits {
    value: u64,
    sum: u64,
}

/// Reads an op; widths are the machine's unless a type follows. `ideal`: partial sums are as wide as values.
///
/// # Errors
/// What is wrong with the text and what to write.
pub fn read_op(text: &str, machine: &Machine, ideal: bool) -> Result<MapOp, OpError> {
    let shown: String = text.chars().take(LONGEST.min(100)).collect();
    let fail = |cause: String, mend: &'static str| OpError { text: shown.clone(), cause, mend };
    if text.len() > LONGEST {
        return Err(fail("the text is too long".into(), "write kind:sizes"));
    }
    let mut parts = text.trim().split(':');
    let kind = parts.next().unwrap_or_default();
    let sizes = parts.next().ok_or_else(|| fail("there are no sizes".into(), "write for example gemm:2048x12288x12288"))?;
    let value = match parts.next() {
        None => machine.compute.operand_bits,
        Some(t) => {
            bits_of(t).ok_or_else(|| fail(format!("type \"{t}\" is not known"), "write fp32, fp16, bf16, fp8, int8, fp4 or int4"))?
        }
    };
    if parts.next().is_some() {
        return Err(fail("something follows the type".into(), "write kind:sizes:type"));
    }
    let bits = Bits { value, sum: if ideal { value } else { machine.compute.sum_bits.max(value) } };
    let op = of_kind(kind, sizes, bits, text.trim()).map_err(|(cause, mend)| fail(cause, mend))?;
    let points = match &op {
        MapOp::One(p) => p.ranks.iter().fold(1u128, |n, r| n.saturating_mul(u128::from(r.extent))),
        MapOp::Pair(p) => p.points(),
    };
    if points > MOST_POINTS {
        return Err(fail("the op is too large".into(), "keep it below 2^58 operations"));
    }
    Ok(op)
}

/// Bits of the type that an op's text names, if it names one.
pub fn named_bits(text: &str) -> Option<u64> {
    text.split(':').nth(2).and_then(bits_of)
}

fn bits_of(name: &str) -> Option<u64> {
    Some(match name {
        "fp32" | "int32" => 32,
        "fp16" | "bf16" | "int16" => 16,
        "fp8" | "int8" => 8,
        "fp4" | "int4" => 4,
        _ => return None,
    })
}

type Refusal = (String, &'static str);

fn of_kind(kind: &str, sizes: &str, bits: Bits, name: &str) -> Result<MapOp, Refusal> {
    let one = |p: Problem| Ok(MapOp::One(p));
    match kind {
        "gemm" | "matmul" => match numbers(sizes)?[..] {
            [m, n, k] => one(gemm(name, &[], (m, n, k), bits)),
            [b, m, n, k] => one(gemm(name, &[b], (m, n, k), bits)),
            _ => Err(("a GEMM has three sizes, a batched one four".into(), "write gemm:MxNxK or gemm:BxMxNxK")),
        },
        "conv" => conv(name, &Named::of(sizes)?, bits).map(MapOp::One),
        "elementwise" | "map" => pair_of(sizes).map(|(r, c)| MapOp::One(elementwise(name, r, c, bits))),
        "reduce" => pair_of(sizes).map(|(r, c)| MapOp::One(reduce(name, r, c, bits))),
        "gather" | "scatter" => pair_of(sizes).map(|(r, c)| MapOp::One(moved(name, r, c, kind == "scatter", bits))),
        "attention" => Pair::attention(name, &Named::of(sizes)?, bits).map(MapOp::Pair),
        "mlp" => match numbers(sizes)?[..] {
            [m, k, f, n] => Ok(MapOp::Pair(Pair::mlp(name, (m, k, f, n), bits))),
            _ => Err(("an MLP has four sizes".into(), "write mlp:MxKxFxN: rows, inputs, hidden, outputs")),
        },
        _ => Err((format!("kind \"{kind}\" is not known"), "write gemm, conv, attention, mlp, elementwise, reduce, gather or scatter")),
    }
}

fn number(text: &str) -> Result<u64, Refusal> {
    let found = text.trim().parse::<u64>().ok().filter(|n| (1..=MOST).contains(n));
    found.ok_or_else(|| (format!("\"{}\" is no size", text.trim()), "write whole numbers from 1 to 2^30"))
}

fn numbers(text: &str) -> Result<Vec<u64>, Refusal> {
    text.split('x').map(number).collect()
}

fn pair_of(text: &str) -> Result<(u64, u64), Refusal> {
    match numbers(text)?[..] {
        [n] => Ok((1, n)),
        [r, c] => Ok((r, c)),
        _ => Err(("this op has rows and columns".into(), "write kind:RxC")),
    }
}

/// Sizes by name: `n=1,k=64`; a word without a number is a flag.
pub(crate) struct Named(Vec<(String, u64)>);

impl Named {
    fn of(text: &str) -> Result<Self, Refusal> {
        let mut out: Vec<(String, u64)> = Vec::new();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').map_or((part, Ok(1)), |(n, v)| (n, number(v)));
            let name = name.trim().to_owned();
            if out.iter().any(|(n, _)| *n == name) {
                return Err((format!("\"{name}\" is there twice"), "keep one"));
            }
            out.push((name, value?));
        }
        Ok(Self(out))
    }

    pub(crate) fn known(&self, names: &[&str]) -> Result<(), Refusal> {
        match self.0.iter().find(|(n, _)| !names.contains(&n.as_str())) {
            Some((n, _)) => Err((format!("size \"{n}\" is not known; known are {}", names.join(", ")), "correct its name")),
            None => Ok(()),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(n, _)| n == name).map(|&(_, v)| v)
    }

    pub(crate) fn need(&self, name: &str) -> Result<u64, Refusal> {
        self.get(name).ok_or_else(|| (format!("size \"{name}\" is missing"), "write name=number, separated by commas"))
    }
}

pub(crate) fn rank(name: &str, extent: u64) -> Rank {
    Rank { name: name.to_owned(), extent }
}

pub(crate) fn tensor(name: &str, role: Roles, bits: Bits, dims: Vec<Vec<(usize, u64)>>) -> Tensor {
    let sum_bits = if role == Roles::OUTPUT { bits.sum } else { bits.value };
    Tensor { name: name.to_owned(), role, bits: bits.value, sum_bits, dims }
}

/// One rank per dimension.
fn plain(ranks: &[usize]) -> Vec<Vec<(usize, u64)>> {
    ranks.iter().map(|&r| vec![(r, 1)]).collect()
}

/// `C[m,n] = Σ_k A[m,k]·B[k,n]`, with leading batch ranks on all three.
pub(crate) fn gemm(name: &str, batch: &[u64], (m, n, k): (u64, u64, u64), bits: Bits) -> Problem {
    let mut ranks = vec![rank("m", m), rank("n", n), rank("k", k)];
    let lead: Vec<usize> = batch.iter().enumerate().map(|(i, _)| 3 + i).collect();
    ranks.extend(batch.iter().map(|&b| rank("b", b)));
    let with = |r: [usize; 2]| plain(&[&lead[..], &r[..]].concat());
    let tensors = vec![
        tensor("A", Roles::INPUT, bits, with([0, 2])),
        tensor("B", Roles::WEIGHT, bits, with([2, 1])),
        tensor("C", Roles::OUTPUT, bits, with([0, 1])),
    ];
    Problem { name: name.to_owned(), ranks, tensors, work: Work::Mac }
}

/// `O[n,k,p,q] = Σ_{c,r,s} I[n,c,stride·p+dilation·r,stride·q+dilation·s]·W[k,c,r,s]`.
fn conv(name: &str, s: &Named, bits: Bits) -> Result<Problem, Refusal> {
    s.known(&["n", "k", "c", "p", "q", "r", "s", "stride", "dilation"])?;
    let (stride, dilation) = (s.get("stride").unwrap_or(1), s.get("dilation").unwrap_or(1));
    if stride.max(dilation) > 1 << 10 {
        return Err(("stride or dilation is above 1024".into(), "correct it"));
    }
    let ranks = ["n", "k", "c", "p", "q", "r", "s"];
    let ranks: Vec<Rank> = ranks
        .into_iter()
        .map(|r| if r == "n" { Ok(rank(r, s.get(r).unwrap_or(1))) } else { s.need(r).map(|x| rank(r, x)) })
        .collect::<Result<_, _>>()?;
    let rows = vec![(3, stride), (5, dilation)];
    let columns = vec![(4, stride), (6, dilation)];
    let tensors = vec![
        tensor("I", Roles::INPUT, bits, vec![vec![(0, 1)], vec![(2, 1)], rows, columns]),
        tensor("W", Roles::WEIGHT, bits, plain(&[1, 2, 5, 6])),
        tensor("O", Roles::OUTPUT, bits, plain(&[0, 1, 3, 4])),
    ];
    Ok(Problem { name: name.to_owned(), ranks, tensors, work: Work::Mac })
}

/// `Y[r,c] = f(X[r,c])`: one operation per element.
fn elementwise(name: &str, r: u64, c: u64, bits: Bits) -> Problem {
    let bits = Bits { sum: bits.value, ..bits };
    let tensors = vec![tensor("X", Roles::INPUT, bits, plain(&[0, 1])), tensor("Y", Roles::OUTPUT, bits, plain(&[0, 1]))];
    Problem { name: name.to_owned(), ranks: vec![rank("r", r), rank("c", c)], tensors, work: Work::Vector(1) }
}

/// `Y[r] = Σ_c X[r,c]`.
fn reduce(name: &str, r: u64, c: u64, bits: Bits) -> Problem {
    let tensors = vec![tensor("X", Roles::INPUT, bits, plain(&[0, 1])), tensor("Y", Roles::OUTPUT, bits, plain(&[0]))];
    Problem { name: name.to_owned(), ranks: vec![rank("r", r), rank("c", c)], tensors, work: Work::Vector(1) }
}

/// `Y[r,c] = X[i[r],c]` (gather) or `Y[i[r],c] = X[r,c]` (scatter): rows move by an index; the table is walked once.
fn moved(name: &str, r: u64, c: u64, scatter: bool, bits: Bits) -> Problem {
    const INDEX: Bits = Bits { value: 32, sum: 32 };
    let bits = Bits { sum: bits.value, ..bits };
    let (from, to) = if scatter { ("X", "Y[i]") } else { ("X[i]", "Y") };
    let tensors = vec![
        tensor(from, Roles::INPUT, bits, plain(&[0, 1])),
        tensor("i", Roles::WEIGHT, INDEX, plain(&[0])),
        tensor(to, Roles::OUTPUT, bits, plain(&[0, 1])),
    ];
    Problem { name: name.to_owned(), ranks: vec![rank("r", r), rank("c", c)], tensors, work: Work::Vector(1) }
}
