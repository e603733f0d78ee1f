//! Small random machines, ops and mappings, and the way from the mapper's types to the checker's.
#![allow(dead_code)]

pub mod every;

use tetra_chip::nest::{ComputeUnit, Dataflow, Fanout, Level, Machine, MapOp, Nest, Problem, Roles, Step, read_op};
use tetra_quantity::Hertz;
use tetra_replay::paper;

/// A small random source: xorshift of Marsaglia.
pub struct Dice(pub u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    pub fn from(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
    pub fn roles(&mut self) -> Roles {
        Roles(self.below(8) as u8)
    }
}

pub const KINDS: [&str; 7] = ["gemm", "batched", "conv", "elementwise", "reduce", "gather", "scatter"];

/// A small op of a kind, as text.
pub fn op_text(d: &mut Dice, kind: &str, most: u64) -> String {
    let mut n = || d.from(1, most);
    match kind {
        "gemm" => format!("gemm:{}x{}x{}", n(), n(), n()),
        "batched" => format!("gemm:{}x{}x{}x{}", n().min(3), n(), n(), n()),
        "conv" => {
            let (k, c, p, q) = (n(), n().min(2), n(), 1 + n() % 2);
            let (r, s, stride, dilation) = (n().min(3), 1 + n() % 2, 1 + n() % 3, 1 + n() % 3);
            format!("conv:k={k},c={c},p={p},q={q},r={r},s={s},stride={stride},dilation={dilation}")
        }
        other => format!("{other}:{}x{}", n(), n()),
    }
}

pub fn op(text: &str, machine: &Machine, ideal: bool) -> Problem {
    match read_op(text, machine, ideal) {
        Ok(MapOp::One(p)) => p,
        other => panic!("{text}: {other:?}"),
    }
}

fn rate(d: &mut Dice) -> Option<f64> {
    d.chance(85).then(|| d.from(1, 64) as f64)
}

pub fn level(d: &mut Dice, index: usize, capacity: u64, fanouts: usize) -> Level {
    let may_keep = if d.chance(70) { Roles::ALL } else { d.roles() };
    let keep = if d.chance(60) { Roles::NONE } else { Roles(d.roles().0 & may_keep.0) };
    let (shared_port, read, write) = (d.chance(40), rate(d), rate(d));
    let outermost = index == 0;
    Level {
        name: format!("L{index}"),
        capacity_bits: if outermost { None } else { Some(d.from(1, capacity) * 8) },
        read_j_per_bit: d.from(0, 100) as f64 * if outermost { 10.0 } else { 1.0 },
        write_j_per_bit: d.from(0, 100) as f64 * if outermost { 10.0 } else { 1.0 },
        read_bits_per_cycle: read,
        write_bits_per_cycle: if shared_port { read } else { write },
        shared_port,
        granule_bits: if d.chance(40) { 8 << d.below(5) } else { 1 },
        keep: if outermost { Roles::ALL } else { keep },
        may_keep: if outermost { Roles::ALL } else { may_keep },
        double_buffer: d.chance(60),
        cache: false,
        efficiency: if d.chance(50) { 1.0 } else { 0.5 },
        fanouts: (0..fanouts).map(|_| fanout(d)).collect(),
    }
}

fn fanout(d: &mut Dice) -> Fanout {
    Fanout {
        name: "f".into(),
        size: d.from(2, 6),
        must_reuse: if d.chance(70) { Roles::NONE } else { d.roles() },
        multicast: if d.chance(50) { Roles::INPUT.with(Roles::WEIGHT) } else { d.roles() },
        reduces: d.chance(60),
    }
}

/// A machine of 2 to `levels` levels with at most `fanouts` fan-outs.
pub fn machine(d: &mut Dice, levels: u64, fanouts: u64, capacity: u64) -> Machine {
    let n = d.from(2, levels) as usize;
    let wanted = d.below(fanouts + 1);
    let mut places = vec![0; n];
    for _ in 0..wanted {
        places[d.below(n as u64) as usize] += 1;
    }
    let list: Vec<Level> = (0..n).map(|i| level(d, i, capacity, places[i])).collect();
    Machine { name: "small".into(), clock: Hertz(1e9), levels: list, compute: compute(d, n) }
}

fn compute(d: &mut Dice, levels: usize) -> ComputeUnit {
    ComputeUnit {
        mac_j: d.from(0, 10) as f64,
        vector_j: d.from(0, 10) as f64,
        vector_ops_per_cycle: if d.chance(50) { 0.0 } else { d.from(1, 8) as f64 },
        vector_level: d.below(levels as u64) as usize,
        dataflow: if d.chance(60) { Dataflow::Lanes } else { Dataflow::Systolic },
        shadow: d.chance(50),
        launch_cycles: d.below(10) as f64,
        static_w: None,
        operand_bits: 8,
        sum_bits: if d.chance(50) { 8 } else { 32 },
        power_cap_w: None,
    }
}

/// A random mapping, legal but for capacities.
pub fn nest(d: &mut Dice, problem: &Problem, machine: &Machine) -> Nest {
    let mut steps: Vec<Step> = (0..problem.tensors.len()).map(|tensor| Step::Store { level: 0, tensor }).collect();
    for (level, l) in machine.levels.iter().enumerate() {
        if level > 0 {
            let mut list: Vec<usize> = (0..problem.tensors.len()).filter(|_| d.chance(70)).collect();
            while !list.is_empty() {
                some_loops(d, problem, &mut steps);
                let tensor = list.swap_remove(d.below(list.len() as u64) as usize);
                steps.push(Step::Store { level, tensor });
            }
        }
        some_loops(d, problem, &mut steps);
        for (fanout, f) in l.fanouts.iter().enumerate() {
            spread(d, problem, (level, fanout, f.size), &mut steps);
        }
    }
    let size = sizes(problem, &steps);
    for (rank, n) in size.iter().enumerate() {
        if *n > 1 {
            steps.push(Step::Loop { rank, tile: 1 });
        }
    }
    Nest { steps }
}

fn sizes(problem: &Problem, steps: &[Step]) -> Vec<u64> {
    let mut out: Vec<u64> = problem.ranks.iter().map(|r| r.extent).collect();
    for s in steps {
        if let Step::Loop { rank, tile } | Step::Spread { rank, tile, .. } = *s {
            out[rank] = tile;
        }
    }
    out
}

fn tile(d: &mut Dice, problem: &Problem, steps: &[Step], rank: usize) -> u64 {
    let now = sizes(problem, steps)[rank];
    let first = now == problem.ranks[rank].extent;
    let choices: Vec<u64> = (1..=now).filter(|t| first || now.is_multiple_of(*t)).collect();
    choices[d.below(choices.len() as u64) as usize]
}

fn some_loops(d: &mut Dice, problem: &Problem, steps: &mut Vec<Step>) {
    for _ in 0..d.below(3) {
        let rank = d.below(problem.ranks.len() as u64) as usize;
        let tile = tile(d, problem, steps, rank);
        steps.push(Step::Loop { rank, tile });
    }
}

fn spread(d: &mut Dice, problem: &Problem, (level, fanout, room): (usize, usize, u64), steps: &mut Vec<Step>) {
    let mut room = room;
    for _ in 0..d.below(3) {
        let rank = d.below(problem.ranks.len() as u64) as usize;
        let tile = tile(d, problem, steps, rank);
        let now = sizes(problem, steps)[rank];
        let lanes = now.div_ceil(tile);
        if lanes <= room {
            steps.push(Step::Spread { level, fanout, rank, tile, lanes });
            room /= lanes;
        } else if now > tile * room {
            steps.push(Step::Loop { rank, tile: tile * room });
            let ok = sizes(problem, &steps[..steps.len() - 1])[rank];
            if ok != problem.ranks[rank].extent && !ok.is_multiple_of(tile * room) {
                steps.pop();
                continue;
            }
            steps.push(Step::Spread { level, fanout, rank, tile, lanes: room });
            room = 1;
        }
    }
}

/// The checker's reading of the mapper's types.
pub fn read(machine: &Machine, problem: &Problem, nest: &Nest) -> (paper::Machine, paper::Problem, paper::Nest) {
    let m = serde_json::to_value(machine).unwrap();
    let p = serde_json::to_value(problem).unwrap();
    let n = serde_json::to_value(nest).unwrap();
    (serde_json::from_value(m).unwrap(), serde_json::from_value(p).unwrap(), serde_json::from_value(n).unwrap())
}
