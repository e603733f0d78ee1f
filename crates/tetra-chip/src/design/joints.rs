//! Where parts of a description meet: what one side gives and what the other takes, as bandwidths.

use tetra_quantity::BytesPerSecond;

use super::parts::Parts;

/// What is asked of a joint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Demand {
    /// Both sides are the same.
    Equal,
    /// What is given is rounded up to whole words, ports or lanes: it is never less than what is taken, and by less than one of them each more.
    Rounded,
    /// Either may be more: the smaller one binds.
    Either,
}

/// Two parts that meet.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Joint {
    /// Where.
    pub name: &'static str,
    /// What is asked of it.
    pub demand: Demand,
    /// What one side gives.
    pub gives: BytesPerSecond,
    /// Its formula.
    pub gives_formula: &'static str,
    /// What the other side takes.
    pub takes: BytesPerSecond,
    /// Its formula.
    pub takes_formula: &'static str,
    /// One word, port or lane, times how many are rounded.
    pub step: BytesPerSecond,
}

impl Joint {
    /// Whether the joint is as it is asked to be.
    pub fn holds(&self) -> bool {
        /// Room for the rounding of sums of products.
        const ROUND: f64 = 1e-12;
        let (gives, takes) = (self.gives.value(), self.takes.value());
        let tiny = ROUND * takes.max(gives);
        match self.demand {
            Demand::Equal => (gives - takes).abs() <= tiny,
            Demand::Rounded => gives + tiny >= takes && gives <= takes + self.step.value() + tiny,
            Demand::Either => true,
        }
    }
}

struct Meet<'a>(&'a Parts, Vec<Joint>);

impl Meet<'_> {
    fn add(&mut self, name: &'static str, demand: Demand, gives: (f64, &'static str), takes: (f64, &'static str), step: f64) {
        let [gives_formula, takes_formula] = [gives.1, takes.1];
        let [gives, takes, step] = [gives.0, takes.0, step].map(BytesPerSecond);
        self.1.push(Joint { name, demand, gives, gives_formula, takes, takes_formula, step });
    }

    /// Bytes per second of so many words per cycle.
    fn words(&self, count: u64, bytes: f64) -> f64 {
        count as f64 * bytes * self.0.clocks.core.value.value()
    }

    fn memories(&mut self) {
        let (h, g, d) = (&self.0.hbm, &self.0.global_memory, &self.0.dma);
        let takes = (h.bandwidth.value.value(), "hbm.bandwidth");
        let pins = (h.controllers.value * h.pseudo_channels.value * h.pseudo_channel_pins.value) as f64;
        let gives = (pins * h.pin_rate.value.value(), "hbm.controllers * hbm.pseudo_channels * hbm.pseudo_channel_pins * hbm.pin_rate");
        self.add("pins of off-chip memory and its controllers", Demand::Equal, gives, takes, 0.0);
        let bursts = d.engines.value as f64 * d.burst.value.value() / d.latency.value.value();
        let gives = (bursts * d.bursts_per_engine.value as f64, "dma.engines * dma.bursts_per_engine * dma.burst / dma.latency");
        self.add("DMA and off-chip memory", Demand::Rounded, gives, takes, bursts);
        let gives = (g.bandwidth.value.value(), "global_memory.bandwidth");
        self.add("global memory and off-chip memory", Demand::Either, gives, takes, 0.0);
    }

    fn network(&mut self) {
        let (g, n, s) = (&self.0.global_memory, &self.0.network, &self.0.scratchpad);
        let carries = (n.bandwidth.value.value(), "network.bandwidth");
        let (word, flit) = (g.word.value.value(), n.flit.value.value());
        let gives = (self.words(g.banks.value, word), "global_memory.banks * global_memory.word * clocks.core");
        self.add("banks of the global memory and the network", Demand::Rounded, gives, carries, self.words(1, word));
        let ports = n.core_ports.value;
        let gives = (self.words(ports * n.port_flits.value, flit), "network.core_ports * network.port_flits * network.flit * clocks.core");
        self.add("ports of cores and the network", Demand::Rounded, gives, carries, self.words(ports, flit));
        let takes = (
            self.words(self.0.cores.working.value, g.demand_per_core.value) * (1.0 + 0.5 * 0.5),
            "global_memory.demand_per_core * cores.working * clocks.core * 5 / 4",
        );
        self.add("network and what cores ask for at full tiles", Demand::Rounded, carries, takes, self.words(1, 1.0));
        let gives = (self.words(s.banks.value, s.word.value.value()), "scratchpad.banks * scratchpad.word * clocks.core");
        let takes = (s.bandwidth.value.value(), "scratchpad.bandwidth");
        self.add("banks of a scratchpad and its arrays", Demand::Equal, gives, takes, 0.0);
    }

    fn lanes(&mut self) {
        let (l, n) = (&self.0.links, &self.0.network);
        let (lane, between) = (l.lane.value.value(), n.die_to_die_lane.value.value());
        let gives = (l.scale_up_lanes.value as f64 * lane, "links.scale_up_lanes * links.lane");
        self.add("scale-up lanes", Demand::Rounded, gives, (l.scale_up.value.value(), "links.scale_up"), lane);
        let gives = (l.scale_out_lanes.value as f64 * lane, "links.scale_out_lanes * links.lane");
        self.add("scale-out lanes", Demand::Rounded, gives, (l.scale_out.value.value(), "links.scale_out"), lane);
        let gives = (n.die_to_die_lanes.value as f64 * between, "network.die_to_die_lanes * network.die_to_die_lane");
        self.add("lanes between dies", Demand::Rounded, gives, (n.die_to_die.value.value(), "network.die_to_die"), between);
    }
}

pub(super) fn joints(parts: &Parts) -> Vec<Joint> {
    let mut all = Meet(parts, Vec::new());
    all.memories();
    all.network();
    all.lanes();
    all.1
}
