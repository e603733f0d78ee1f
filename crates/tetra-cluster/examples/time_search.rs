//! Times the serving search on variations of a chip file: `time_search CHIP.toml`, run from the root of the repository.

use std::error::Error;
use std::fs;
use std::time::Instant;

use tetra_chip::{Chip, ChipConstants, Timer};
use tetra_cluster::serve::{Arrivals, Demand, SearchSpace, ServeAsk, ServeConstants, bound, search};
use tetra_cluster::{ClusterConstants, Network};
use tetra_quantity::{Bytes, BytesPerSecond, Seconds, TableText, Tables};
use tetra_workload::{DataType, Model, Precision};

fn main() -> Result<(), Box<dyn Error>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir("data")? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "csv") {
            texts.push((path.display().to_string(), fs::read_to_string(&path)?));
        }
    }
    let list: Vec<TableText<'_>> = texts.iter().map(|(name, text)| TableText { name, text }).collect();
    let tables = Tables::parse(&list, &fs::read_to_string("data/sources.toml")?).map_err(|e| format!("{e:?}"))?;
    let serve = ServeConstants::from_tables(&tables)?;
    let cluster = ClusterConstants::from_tables(&tables)?;
    let constants = ChipConstants::from_tables(&tables).map_err(|e| format!("{e:?}"))?;
    let path = std::env::args().nth(1).ok_or("give a chip file")?;
    let base = Chip::from_toml("chip", &fs::read_to_string(path)?).map_err(|e| format!("{e:?}"))?;
    let model = |name: &str| -> Result<Model, Box<dyn Error>> {
        let text = fs::read_to_string(format!("models/{name}.json"))?;
        tetra_workload::hf::read_config(name, &text).map_err(|e| format!("{e:?}").into())
    };
    let dense = model("Meta-Llama-3.1-70B")?;
    let sparse = model("DeepSeek-V3").or_else(|_| model("Meta-Llama-3.1-405B"))?;
    let ask = |model, input, output, ttft: f64, tpot: f64| ServeAsk {
        model,
        precision: Precision::uniform(DataType::Fp8),
        input,
        output,
        ttft: Some(Seconds(ttft)),
        tail: None,
        tpot: Some(Seconds(tpot)),
        arrivals: Arrivals::Steady,
    };
    let asks = [ask(&dense, 2048, 512, 2.0, 0.03), ask(&sparse, 1024, 8192, 5.0, 0.02), ask(&dense, 32768, 1024, 10.0, 0.04)];
    for a in &asks {
        let demand = Demand::of(a).map_err(|e| e.to_string())?;
        let (mut fits, mut ops, mut tight) = (0, 0, Vec::new());
        let start = Instant::now();
        let count = 200;
        for i in 0..count {
            let mut chip = base.clone();
            chip.compute.cores = base.compute.cores * (4 + i % 10) / 8;
            chip.memory.hbm = Bytes(base.memory.hbm.value() * (1.0 + (i % 7) as f64 * 0.5));
            chip.memory.hbm_bandwidth = BytesPerSecond(base.memory.hbm_bandwidth.value() * (1.0 + (i % 5) as f64 * 0.5));
            let network = Network::of(&chip, &cluster);
            let timer = Timer::new(&chip, &constants);
            let space = SearchSpace::within(64.min(network.domain.max(8)));
            if let Ok(found) = search(a, &chip, &timer, &network, &space, &serve) {
                fits += 1;
                if let Ok(b) = bound(&demand, a, &chip, &space, &serve) {
                    tight.push(b.chip_seconds_per_token / found.chip_seconds_per_token);
                }
            }
            ops += timer.remembered();
        }
        let each = start.elapsed() / count as u32;
        tight.sort_by(f64::total_cmp);
        let middle = tight.get(tight.len() / 2).copied().unwrap_or(f64::NAN);
        println!(
            "{}/{}: {each:?} per chip, {fits} of {count} fit, {} ops per chip, bound over found {middle:.2}",
            a.input,
            a.output,
            ops / count as usize
        );
        let network = Network::of(&base, &cluster);
        let timer = Timer::new(&base, &constants);
        match search(a, &base, &timer, &network, &SearchSpace::within(network.domain), &serve) {
            Ok(s) => println!("  {:?} ttft {} tpot {} {:.0} tokens/s/chip", s.layout, s.ttft, s.tpot, s.tokens_per_second_per_chip),
            Err(e) => println!("  {e}"),
        }
    }
    Ok(())
}
