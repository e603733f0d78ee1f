//! Which layers each stage of a pipeline holds, stages that hold the same taken together.
//!
//! Layers that do not divide evenly are spread so that no chunk holds two more than another; or, where that is faster with nothing recomputed, embedding and head take the place of a layer
//! in the first and the last chunk. Chunk `i` lies on stage `i mod p`.

use tetra_workload::Graph;

/// For each shape of a layer, how many of the first `i` layers have it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Depth {
    before: Vec<Vec<u32>>,
}

impl Depth {
    pub(crate) fn of(built: &Graph) -> Self {
        let mut before = vec![Vec::with_capacity(built.order.len() + 1); built.layers.len()];
        let mut counts = vec![0u32; built.layers.len()];
        for list in &mut before {
            list.push(0);
        }
        for &kind in &built.order {
            counts[usize::from(kind)] += 1;
            for (list, &count) in before.iter_mut().zip(&counts) {
                list.push(count);
            }
        }
        Self { before }
    }

    /// Layers of the model.
    pub(crate) fn layers(&self) -> u64 {
        self.before.first().map_or(0, |b| b.len() as u64 - 1)
    }

    fn add(&self, from: u64, to: u64, counts: &mut [f64]) {
        for (count, before) in counts.iter_mut().zip(&self.before) {
            *count += f64::from(before[to as usize] - before[from as usize]);
        }
    }
}

/// Stages that hold the same.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StageKind {
    /// Layers of each shape.
    pub(crate) counts: Vec<f64>,
    /// Layers of all shapes.
    pub(crate) layers: f64,
    /// The first of them: none of the others holds more microbatches.
    pub(crate) index: u64,
    /// How many they are.
    pub(crate) stages: f64,
    pub(crate) first: bool,
    pub(crate) last: bool,
}

/// The stages of one pipeline: with layers spread evenly, and where they do not divide, also with places for embedding and head.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Split {
    pub(crate) even: Vec<StageKind>,
    pub(crate) slots: Option<Vec<StageKind>>,
}

impl Split {
    /// `p` stages of `v` chunks.
    pub(crate) fn of(depth: &Depth, p: u64, v: u64) -> Self {
        let (p, v) = (p.max(1), v.max(1));
        let chunks = p.saturating_mul(v);
        let divides = chunks < 2 || depth.layers().is_multiple_of(chunks);
        Self { even: kinds(depth, p, v, 0), slots: (!divides).then(|| kinds(depth, p, v, 1)) }
    }
}

fn kinds(depth: &Depth, p: u64, v: u64, slots: u64) -> Vec<StageKind> {
    let (layers, chunks) = (depth.layers(), p * v);
    let mut out: Vec<StageKind> = Vec::with_capacity(4);
    for index in 0..p {
        let mut counts = vec![0.0; depth.before.len()];
        for chunk in (0..v).map(|j| j * p + index) {
            depth.add(boundary(chunk, chunks, layers, slots), boundary(chunk + 1, chunks, layers, slots), &mut counts);
        }
        let (first, last) = (index == 0, index + 1 == p);
        match out.iter_mut().find(|k| k.counts == counts && k.first == first && k.last == last) {
            Some(known) => known.stages += 1.0,
            None => out.push(StageKind { layers: counts.iter().sum(), counts, index, stages: 1.0, first, last }),
        }
    }
    out
}

/// First layer of a chunk: `slots` places at each end belong to embedding and head.
fn boundary(chunk: u64, chunks: u64, depth: u64, slots: u64) -> u64 {
    let places = depth + 2 * slots;
    let (each, more) = (places / chunks, places % chunks);
    let place = chunk * each + chunk.min(more);
    place.saturating_sub(slots).min(depth)
}
