//! Steady state of one layout: the equations of `serve`, with the queue before a prompt.
//!
//! What a prompt adds to the steps that it joins is less than its own time by the decode work that the larger step does on the way (weights are
//! read once for both: Agrawal et al. 2024, "Sarathi-Serve"). Prompts wait as in a queue with one server and fixed service time (Pollaczek 1930:
//! `ρ·T / (2·(1 - ρ))`), less the one in hand of the finite batch; a benchmark client adds the mean wait of those requests that it sends all at once.

use tetra_chip::{Chip, OpTimer};
use tetra_quantity::{Joules, Seconds, Watts};

use crate::network::Network;
use crate::serve::ask::{Arrivals, ServeAsk};
use crate::serve::constants::ServeConstants;
use crate::serve::kv;
use crate::serve::kv::ServeMemory;
use crate::serve::layout::{Mode, ServeLayout, Split};
use crate::serve::misfit::ServeMisfit;
use crate::serve::serving::{Serving, TpotParts, TtftParts};
use crate::serve::step::Setting;
use crate::serve::step::StepCost;

/// A layout in steady state. Limits of the ask are not checked: that is the search's part.
///
/// # Errors
/// A split that the model does not allow, or memory that does not suffice.
pub fn steady(
    ask: &ServeAsk<'_>,
    chip: &Chip,
    timer: &dyn OpTimer,
    network: &Network,
    layout: &ServeLayout,
    constants: &ServeConstants,
) -> Result<Serving, ServeMisfit> {
    check(ask)?;
    check_layout(layout)?;
    let setting = Setting { ask, chip, timer, network, constants };
    let prefill = match layout.mode {
        Mode::Aggregated => setting.prefill(&layout.split, setting.prompts(layout.batch))?,
        Mode::Disaggregated { prefill, .. } => {
            setting.check_prefill_memory(&prefill)?;
            setting.prefill(&prefill, 1)?
        }
    };
    setting.settle(layout, &prefill)
}

/// Most tokens or sequences: far beyond any machine, and small enough that no product of shapes overflows.
const MOST: u64 = 1 << 24;

/// Lengths of a request.
pub(crate) fn check(ask: &ServeAsk<'_>) -> Result<(), ServeMisfit> {
    check_one("input", ask.input)?;
    check_one("output", ask.output)
}

/// Degrees and counts of a layout.
pub(crate) fn check_layout(layout: &ServeLayout) -> Result<(), ServeMisfit> {
    check_one("batch", layout.batch)?;
    check_split(&layout.split)?;
    if let Mode::Disaggregated { prefill, prefill_workers, decode_workers } = &layout.mode {
        check_split(prefill)?;
        check_one("prefill_workers", *prefill_workers)?;
        check_one("decode_workers", *decode_workers)?;
    }
    Ok(())
}

fn check_split(split: &Split) -> Result<(), ServeMisfit> {
    check_one("tensor_parallel", split.tensor_parallel)?;
    check_one("pipeline_parallel", split.pipeline_parallel)?;
    check_one("attention_data", split.attention_data)?;
    check_one("expert_parallel", split.expert_parallel)?;
    check_one("expert_tensor", split.expert_tensor)
}

fn check_one(what: &'static str, found: u64) -> Result<(), ServeMisfit> {
    match found {
        0 => Err(ServeMisfit::Empty { what, found }),
        found if found > MOST => Err(ServeMisfit::Beyond { what, found, most: MOST }),
        _ => Ok(()),
    }
}

/// Rates and waits of the prompt side.
struct PromptSide {
    /// What one prompt per group adds to the steps.
    added: Seconds,
    /// Decode work done in the steps of a prompt.
    mixed: Seconds,
    /// Wait before a prompt, mean.
    queue: Seconds,
    /// What one request in a hundred waits longer than the mean.
    tail: Seconds,
    /// Share of the time in which prompts are computed.
    share: f64,
}

/// What a mode of serving comes to, before it is shared out over chips.
struct Rates {
    /// Output tokens of the group.
    tokens_per_second: f64,
    /// Sequences that run at once in the group.
    running: f64,
    tpot_parts: TpotParts,
    ttft_parts: TtftParts,
    tail: Seconds,
    memory: ServeMemory,
    /// Share of the time in which prompts are computed.
    prefill_share: f64,
    /// Energy of one request above idle power.
    energy_per_request: Joules,
}

impl Setting<'_> {
    /// A prefill worker must hold its weights and one prompt.
    pub fn check_prefill_memory(&self, split: &Split) -> Result<(), ServeMisfit> {
        let graph = self.decode_graph(split, 1)?;
        kv::memory(&graph, split, 1, self.ask, self.chip, self.constants).map(|_| ())
    }

    /// Steady state with the cost of a prompt known.
    pub fn settle(&self, layout: &ServeLayout, prefill: &StepCost) -> Result<Serving, ServeMisfit> {
        let (memory, step) = self.step(layout)?;
        self.combine(layout, prefill, &step, memory)
    }

    /// Memory and step of the workers that decode.
    pub fn step(&self, layout: &ServeLayout) -> Result<(ServeMemory, StepCost), ServeMisfit> {
        let graph = self.decode_graph(&layout.split, layout.batch)?;
        let memory = kv::memory(&graph, &layout.split, layout.batch, self.ask, self.chip, self.constants)?;
        Ok((memory, self.decode(&graph, &layout.split, layout.batch)))
    }

    /// Steady state of a step and a prompt.
    pub fn combine(&self, layout: &ServeLayout, prefill: &StepCost, step: &StepCost, memory: ServeMemory) -> Result<Serving, ServeMisfit> {
        let found = match layout.mode {
            Mode::Aggregated => self.aggregated(layout, prefill, step, memory),
            Mode::Disaggregated { prefill: split, prefill_workers, .. } => {
                self.disaggregated(layout, &split, prefill_workers.max(1), prefill, step, memory)
            }
        };
        if found.ttft.value().is_finite() && found.tpot.value().is_finite() { Ok(found) } else { Err(ServeMisfit::NoLink) }
    }

    fn aggregated(&self, layout: &ServeLayout, prefill: &StepCost, step: &StepCost, memory: ServeMemory) -> Serving {
        let batch = layout.batch.max(1) as f64;
        let later = self.ask.output.saturating_sub(1) as f64;
        let side = self.prompt_side(batch, prefill, step);
        let tpot_parts = TpotParts {
            step: step.parts,
            prefill: if later > 0.0 { side.added * ((batch - 1.0) / later) } else { Seconds::ZERO },
            starved: Seconds::ZERO,
        };
        let ttft_parts = TtftParts {
            queue: side.queue + step.time() * (0.5 * (1.0 - 1.0 / batch)),
            // With stages, the prompt itself takes longer to pass than it keeps each of them busy.
            prefill: side.added + (prefill.time() - prefill.interval).max(Seconds::ZERO),
            decode: side.mixed,
            host: self.constants.request,
            ..TtftParts::default()
        };
        let turn = side.added * batch + step.time() * later;
        let groups = layout.split.attention_data.max(1) as f64;
        let tokens_per_second = batch * groups * self.ask.output as f64 / turn.value();
        let tensor = layout.split.tensor_parallel.max(1) as f64;
        let energy_per_request = prefill.energy * tensor + step.energy * tensor * (later / batch);
        let running = batch * groups;
        self.serving(
            layout,
            Rates {
                tokens_per_second,
                running,
                tpot_parts,
                ttft_parts,
                tail: side.tail,
                memory,
                prefill_share: side.share,
                energy_per_request,
            },
        )
    }

    fn prompt_side(&self, batch: f64, prefill: &StepCost, step: &StepCost) -> PromptSide {
        let input = self.ask.input.max(1) as f64;
        let steps = (input / self.constants.chunk().max(1) as f64).max(1.0);
        // Decode work that rides on the larger products of a step with a prompt.
        let fixed = step.time() - step.parts.attention - step.parts.host;
        let carried = (prefill.interval - prefill.parts.attention).max(Seconds::ZERO) * (batch / input);
        let saved = (fixed - carried).max(Seconds::ZERO) + step.parts.host.min(self.constants.step);
        let later = self.ask.output.saturating_sub(1) as f64;
        // A lone sequence has nobody's decode step to join, and no more steps are joined than there are.
        let joined = (steps * (batch - 1.0) / batch).min(later / batch);
        let mixed = step.time() * joined;
        let added = (prefill.interval - saved * joined).max(prefill.interval * 0.5);
        let turn = added * batch + step.time() * later;
        let share = if turn.value() > 0.0 { (added * batch) / turn } else { 0.0 };
        let busy = (share * (batch - 1.0) / batch).min(1.0);
        let service = added + mixed;
        let random = service * (busy / (2.0 * (1.0 - busy).max(1.0 / batch)));
        let burst = match self.ask.arrivals {
            Arrivals::Steady => Seconds::ZERO,
            Arrivals::ClosedLoop => added * (0.5 * (batch - 1.0) * self.constants.burst_share),
        };
        let tail = self.tail(service, busy, 1.0 / batch) - random;
        PromptSide { added, mixed, queue: random + burst, tail, share }
    }

    fn disaggregated(
        &self,
        layout: &ServeLayout,
        split: &Split,
        prefill_workers: u64,
        prefill: &StepCost,
        step: &StepCost,
        memory: ServeMemory,
    ) -> Serving {
        let later = self.ask.output.saturating_sub(1) as f64;
        let groups = layout.split.attention_data.max(1) as f64 * layout.decode_workers() as f64;
        let slots = layout.batch.max(1) as f64 * groups;
        let prompt_groups = split.attention_data.max(1) as f64 * prefill_workers as f64;
        let prompt_rate = prompt_groups / prefill.interval.value();
        let decode_turn = step.time() * later;
        let decode_rate = slots / decode_turn.value().max(f64::MIN_POSITIVE);
        let rate = prompt_rate.min(decode_rate);
        let transfer = self.transfer(split, &layout.split);
        // Fewer sequences run when prompts come too slowly; those steps are timed at the full batch.
        let starved = if later > 0.0 { Seconds((slots / rate / later - step.time().value()).max(0.0)) } else { Seconds::ZERO };
        let busy = (rate / prompt_rate).min(1.0);
        let least = prompt_groups / slots.max(prompt_groups);
        let wait = prefill.interval * (busy / (2.0 * (1.0 - busy).max(least)) / prompt_groups);
        let tail = self.tail(prefill.interval / prompt_groups, busy, least) - wait;
        let burst = match self.ask.arrivals {
            Arrivals::Steady => Seconds::ZERO,
            Arrivals::ClosedLoop => prefill.interval * (0.5 * (slots / prompt_groups - 1.0).max(0.0) * self.constants.burst_share),
        };
        let tpot_parts = TpotParts { step: step.parts, prefill: Seconds::ZERO, starved: Seconds::ZERO };
        let ttft_parts = TtftParts {
            queue: wait + burst,
            admission: starved * later,
            prefill: prefill.time(),
            decode: step.time(),
            transfer,
            host: self.constants.request,
        };
        let energy_per_request = prefill.energy * split.tensor_parallel.max(1) as f64
            + step.energy * (layout.split.tensor_parallel.max(1) as f64 * later / layout.batch.max(1) as f64);
        let tokens_per_second = rate * self.ask.output as f64;
        self.serving(
            layout,
            Rates { tokens_per_second, running: slots, tpot_parts, ttft_parts, tail, memory, prefill_share: busy, energy_per_request },
        )
    }

    /// The cache of a prompt, sent over the scale-out ports of the smaller side.
    fn transfer(&self, from: &Split, to: &Split) -> Seconds {
        let Ok(graph) = self.decode_graph(&Split::ONE, 1) else { return Seconds::ZERO };
        let bytes = kv::sequence_bytes(&graph, 1, self.ask.input as f64);
        let ports = from.tensor_parallel.min(to.tensor_parallel).max(1) as f64;
        let rate = self.network.scale_out.bandwidth.value().max(f64::MIN_POSITIVE) * ports;
        Seconds(bytes / rate)
    }

    /// Wait that one request in a hundred exceeds in a queue with one server: `P(W > t) = ρ·e^(-t/w)` with `w = T·(1 + cv²) / (2·(1 - ρ))` the mean of
    /// those that wait (Kingman 1962, exact in heavy traffic).
    fn tail(&self, service: Seconds, busy: f64, least_idle: f64) -> Seconds {
        const ONE_IN: f64 = 100.0;
        let spread = self.ask.tail.unwrap_or(0.0);
        service * ((ONE_IN * busy).max(1.0).ln() * (1.0 + spread * spread) / (2.0 * (1.0 - busy).max(least_idle)))
    }

    fn serving(&self, layout: &ServeLayout, found: Rates) -> Serving {
        let Rates { tokens_per_second, running, tpot_parts, ttft_parts, tail, memory, prefill_share, energy_per_request } = found;
        let chips = layout.chips();
        let rate = if tokens_per_second.is_finite() && tokens_per_second > 0.0 { tokens_per_second } else { 0.0 };
        let per_chip = rate / chips.max(1) as f64;
        let chip_seconds = Seconds(if per_chip > 0.0 { 1.0 / per_chip } else { f64::INFINITY });
        let idle = self.chip.power.idle;
        let energy = energy_per_request / self.ask.output.max(1) as f64 + Joules(idle.value() * chip_seconds.value());
        Serving {
            layout: *layout,
            chips,
            running,
            ttft: ttft_parts.total(),
            ttft_p99: ttft_parts.total() + tail.max(Seconds::ZERO),
            tpot: tpot_parts.total(),
            tokens_per_second: rate,
            tokens_per_second_per_chip: per_chip,
            chip_seconds_per_token: chip_seconds,
            tpot_parts,
            ttft_parts,
            memory,
            prefill_share,
            energy_per_token: energy,
            power: Watts((energy.value() * per_chip).min(self.chip.power.cap.value().max(idle.value()))),
            idle_power: idle,
        }
    }
}
