//! Rate at which plans are priced, time to search whole spaces of plans, time to play one step exactly. Seconds are those of the processor, one core.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "../tests/support/mod.rs"]
mod support;

use support::World;
use tetra_cluster::train::schedule::{ChunkTime, Play, play};
use tetra_cluster::{Network, PlanSpace, Schedule, SearchLimits, Searcher, TrainAsk};
use tetra_workload::{DataType, DenseShape, Model, Precision, hf};

fn main() {
    let world = World::new();
    gpt(&world);
    llama(&world);
    deepseek(&world);
    exact();
}

/// Seconds of the processor so far (Linux).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() * 1e-9
}

fn wide(chips: u64) -> PlanSpace {
    PlanSpace {
        tensor_across: true,
        without_sequence_parallel: true,
        schedules: Schedule::ALL.to_vec(),
        offloads: PlanSpace::all_offloads(),
        ..PlanSpace::usual(chips)
    }
}

struct Case<'a> {
    name: &'a str,
    chip: &'a str,
    model: Model,
    batch: u64,
    sequence: u64,
    space: PlanSpace,
}

impl Case<'_> {
    fn run(&self, world: &World, exhaustively: bool) {
        let chip = world.chip(self.chip);
        let timer = world.timer(&chip);
        let network = Network::of(&chip, &world.cluster);
        let ask = TrainAsk::new(&self.model, Precision::uniform(DataType::Bf16), self.batch, self.sequence);
        let mut searcher = Searcher::new(ask, &chip, &timer, &network, &world.cluster);
        let start = cpu();
        let found = if exhaustively { searcher.search_exhaustively(&self.space) } else { searcher.search(&self.space) }.unwrap();
        let s = cpu() - start;
        let (how, rate) =
            if exhaustively { ("exhaustively", found.priced as f64 / s / 1e6) } else { ("pruned", found.plans as f64 / s / 1e6) };
        println!("{}: {} plans {how} in {s:.2} s, {rate:.2} M plans/s, {} priced, {:?}", self.name, found.plans, found.priced, found.cut);
        println!("    best {} {:?}", found.best.time, found.best.layout);
    }

    fn front(&self, world: &World) {
        let chip = world.chip(self.chip);
        let timer = world.timer(&chip);
        let network = Network::of(&chip, &world.cluster);
        let ask = TrainAsk::new(&self.model, Precision::uniform(DataType::Bf16), self.batch, self.sequence);
        let start = cpu();
        let front = Searcher::new(ask, &chip, &timer, &network, &world.cluster).front(&self.space).unwrap();
        println!("{}: Pareto front of {} plans in {:.2} s", self.name, front.len(), cpu() - start);
    }
}

/// About as many plans as Calculon's space of the same job has (6,582,816).
fn gpt(world: &World) {
    let shape = DenseShape {
        layers: 96,
        hidden: 12_288,
        heads: 96,
        kv_heads: 96,
        ffn: 49_152,
        vocabulary: 51_200,
        learned_positions: 2048,
        llama: false,
    };
    let limits = SearchLimits {
        tensor_parallel: 32,
        context_parallel: 2,
        context_tokens: 512,
        micro_batch: 32,
        virtual_stages: 96,
        ..SearchLimits::WIDE
    };
    let case = Case {
        name: "GPT-3 175B on 512 A100",
        chip: "A100-80GB-SXM",
        model: shape.model("gpt3-175b"),
        batch: 3072,
        sequence: 2048,
        space: PlanSpace { limits, ..wide(512) },
    };
    case.run(world, true);
    case.run(world, false);
    case.front(world);
}

fn llama(world: &World) {
    let shape = DenseShape {
        layers: 126,
        hidden: 16_384,
        heads: 128,
        kv_heads: 8,
        ffn: 53_248,
        vocabulary: 128_256,
        learned_positions: 0,
        llama: true,
    };
    let limits = SearchLimits { virtual_stages: 126, context_tokens: 64, ..SearchLimits::WIDE };
    let case = Case {
        name: "Llama 405B on 14,746 to 16,384 H100",
        chip: "H100",
        model: shape.model("llama-3.1-405b"),
        batch: 4032,
        sequence: 4096,
        space: PlanSpace { limits, least_chips: 14_746, uneven: true, ..wide(16_384) },
    };
    case.run(world, false);
}

fn deepseek(world: &World) {
    let model = hf::read_config("DeepSeek-V3", include_str!("../../../models/DeepSeek-V3.json")).unwrap();
    let space = PlanSpace { uneven: true, ..wide(16_384) };
    Case { name: "DeepSeek-V3 on 16,384 H100", chip: "H100", model, batch: 16_384, sequence: 4096, space }.run(world, false);
}

/// 64 stages of 8 chunks, 512 microbatches.
fn exact() {
    let (stages, chunks, microbatches) = (64, 8, 512);
    let one = ChunkTime { forward: 1.0, again: 0.0, input: 1.0, weight: 1.0, send: 0.01 };
    let step = Play {
        schedule: Schedule::OneForwardOneBackward,
        stages,
        chunks,
        microbatches,
        times: vec![one; stages * chunks],
        latency: 0.01,
        together: 1.0,
    };
    let mut times: Vec<f64> = (0..11)
        .map(|_| {
            let start = cpu();
            std::hint::black_box(play(&step).unwrap());
            cpu() - start
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("one step played, {stages} stages, {chunks} chunks, {microbatches} microbatches: {:.1} ms", times[5] * 1e3);
}
