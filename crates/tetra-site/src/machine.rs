//! One chip in its server, rack and network: price and watts, the same at every site.
//!
//! `price = (chip + board + scale-up + host + network card) * (1 + margin)`; what a quoted price already holds is not added again, so that
//! bought GPUs and own chips take one path. Watts: `rack = (chips + host + card + scale-up + fans) / supplies`.
//! A scale-up domain larger than a rack needs optics: for all its bandwidth where switches join it, for the faces of a cube of `n^3` chips
//! (`1/n` of the links) where neighbours are wired.
//! Leaves out: dependence of host power on load, fan cube law, boards that hold several chips.

use tetra_chip::Chip;
use tetra_quantity::{BytesPerSecond, Celsius, KelvinPerWatt, Usd, Watts};

use crate::constants::{ServerConstants, SiteConstants};
use crate::cooling::Cooling;
use crate::error::{Fit, Misfit};
use crate::network::{NetworkBill, network_bill};
use crate::power::rack_input;

/// What the price of a chip already holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PriceBasis {
    /// The tested package alone: a chip of one's own.
    Package,
    /// The package on its board with the scale-up switches: a GPU on its baseboard.
    Module,
    /// Its share of a complete server with network cards.
    Server,
}

/// Where the power of a chip is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerAt {
    /// At the package: the board's regulators come on top.
    Package,
    /// At the input of the module: regulators are inside, as in a GPU's rated power.
    Module,
}

/// Power of a chip over time.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ChipPower {
    /// Most that it draws: what supplies and halls are built for.
    pub cap: Watts,
    /// Mean while it works.
    pub busy: Watts,
    /// While it waits.
    pub idle: Watts,
    /// Share of the time in which it works.
    pub duty: f64,
    /// Where these are measured.
    pub at: PowerAt,
}

impl ChipPower {
    /// Mean over time.
    pub fn mean(&self) -> Watts {
        self.busy * self.duty + self.idle * (1.0 - self.duty)
    }
}

/// One chip and what is bought around it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Machine {
    /// Price per chip.
    pub price: Usd,
    /// What that price holds.
    pub basis: PriceBasis,
    /// Power of the chip.
    pub power: ChipPower,
    /// Temperature of the coolant at the cold plate.
    pub coolant: Celsius,
    /// Junction to coolant.
    pub resistance: KelvinPerWatt,
    /// How the server is cooled.
    pub cooling: Cooling,
    /// Chips in one server.
    pub chips_per_server: u64,
    /// Scale-up bandwidth per chip and direction.
    pub scale_up: BytesPerSecond,
    /// Chips of one scale-up domain.
    pub scale_up_domain: u64,
    /// Whether switches join the domain.
    pub scale_up_switched: bool,
    /// Scale-out bandwidth per chip and direction.
    pub scale_out: BytesPerSecond,
    /// Chips of the cluster that one network joins.
    pub cluster_chips: u64,
}

impl Machine {
    /// A machine around a chip, cooled as its power demands; a fleet beyond the largest network is several networks.
    pub fn of(
        chip: &Chip,
        price: Usd,
        basis: PriceBasis,
        power: ChipPower,
        chips_per_server: u64,
        cluster_chips: u64,
        c: &SiteConstants,
    ) -> Self {
        let machine = Self {
            price,
            basis,
            power,
            coolant: chip.power.coolant,
            resistance: chip.power.resistance,
            cooling: Cooling::Air,
            chips_per_server,
            scale_up: chip.links.scale_up,
            scale_up_domain: chip.links.scale_up_domain,
            scale_up_switched: chip.links.scale_up_switched,
            scale_out: chip.links.scale_out,
            cluster_chips: cluster_chips.min(c.network.most_chips(chip.links.scale_out)),
        };
        Self { cooling: choose_cooling(&machine, c), ..machine }
    }
}

/// Price of a server per chip, by part.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ServerPrice {
    /// The chip at its price.
    pub chip: Usd,
    /// Board with regulators and cold plate.
    pub board: Usd,
    /// Scale-up switches, backplane, or optics where the domain leaves the rack.
    pub scale_up: Usd,
    /// Processor, memory, drives, chassis, supplies.
    pub host: Usd,
    /// Network card.
    pub nic: Usd,
    /// What the integrator adds.
    pub integrator: Usd,
}

impl ServerPrice {
    /// Sum of the parts.
    pub fn total(&self) -> Usd {
        self.parts().iter().map(|p| p.1).sum()
    }

    /// Parts by name.
    pub fn parts(&self) -> [(&'static str, Usd); 6] {
        [
            ("chip", self.chip),
            ("board", self.board),
            ("scale-up", self.scale_up),
            ("host", self.host),
            ("network card", self.nic),
            ("integrator", self.integrator),
        ]
    }
}

/// Price and watts of one chip with its share of server, rack and network.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct MachineCost {
    /// Price of the server's share.
    pub server: ServerPrice,
    /// Network.
    pub network: NetworkBill,
    /// Price of storage.
    pub storage: Usd,
    /// Power at the racks when everything runs at its cap.
    pub it_peak: Watts,
    /// Mean power at the racks.
    pub it_mean: Watts,
    /// Share of the heat that liquid carries.
    pub liquid_share: f64,
    /// How the server is cooled.
    pub cooling: Cooling,
    /// Temperature at which coolant or air must arrive.
    pub supply: Celsius,
    /// Hottest junction temperature.
    pub junction: Celsius,
    /// Chips in one rack.
    pub chips_per_rack: u64,
    /// Power of that rack.
    pub rack_power: Watts,
    /// Share of the scale-up bandwidth that leaves the rack by optics.
    pub optics_share: f64,
}

/// Air where package and server bear it and the scale-up domain stays in one rack, else liquid.
pub fn choose_cooling(machine: &Machine, c: &SiteConstants) -> Cooling {
    let air = Machine { cooling: Cooling::Air, ..*machine };
    match rack(&air, c) {
        Ok(r) if r.optics_share <= 0.0 => Cooling::Air,
        _ => Cooling::Liquid,
    }
}

/// Price of the server's share of one chip of which `optics_share` of the scale-up bandwidth leaves the rack.
pub fn server_price(machine: &Machine, c: &SiteConstants, optics_share: f64) -> ServerPrice {
    let s = &c.server;
    let add = |yes: bool, price: Usd| if yes { price } else { Usd::ZERO };
    let package = machine.basis == PriceBasis::Package;
    let parts = machine.basis != PriceBasis::Server;
    let rate = machine.scale_up.value();
    let switched = add(package && machine.scale_up_switched && machine.scale_up_domain > 1, Usd(rate * s.scale_up_price_usd_s_per_byte));
    let optics = add(parts, c.network.link_price * (optics_share * rate / c.network.port.value()));
    let board = add(package, s.board_price);
    let host = add(parts, s.host_price);
    let nic = add(parts, Usd(machine.scale_out.value() * s.nic_price_usd_s_per_byte));
    let bare = machine.price + board + switched + optics + host + nic;
    ServerPrice { chip: machine.price, board, scale_up: switched + optics, host, nic, integrator: add(parts, bare * s.integrator_margin) }
}

/// Price and watts of one chip with its share of server, rack and network.
///
/// # Errors
/// A package, junction, server or network beyond its limits, or an input that is no number.
pub fn machine_cost(machine: &Machine, c: &SiteConstants) -> Fit<MachineCost> {
    check(machine)?;
    let rack = rack(machine, c)?;
    let network = network_bill(&c.network, machine.cluster_chips, machine.scale_out)?;
    let beside = network.power + c.server.storage_power;
    Ok(MachineCost {
        server: server_price(machine, c, rack.optics_share),
        network,
        storage: c.server.storage_price,
        it_peak: rack.peak + beside,
        it_mean: rack_input(&c.power, load(machine, c, machine.power.mean(), rack.optics_share), rack.bus_peak) + beside,
        liquid_share: if machine.cooling == Cooling::Liquid { c.server.liquid_share } else { 0.0 },
        cooling: machine.cooling,
        supply: if machine.cooling == Cooling::Liquid { machine.coolant } else { c.cooling.air_supply },
        junction: rack.junction,
        chips_per_rack: rack.chips,
        rack_power: rack.peak * rack.chips as f64,
        optics_share: rack.optics_share,
    })
}

fn check(m: &Machine) -> Fit<()> {
    let sound = |what: &'static str, v: f64| if v.is_finite() && v >= 0.0 { Ok(()) } else { Err(Misfit::BadInput { what }) };
    sound("price", m.price.value())?;
    sound("power.cap", m.power.cap.value())?;
    sound("power.busy", m.power.busy.value())?;
    sound("power.idle", m.power.idle.value())?;
    sound("scale_up", m.scale_up.value())?;
    sound("scale_out", m.scale_out.value())?;
    sound("resistance", m.resistance.value())?;
    sound("power.duty", m.power.duty)?;
    if m.power.duty > 1.0 {
        return Err(Misfit::BadInput { what: "power.duty" });
    }
    if m.chips_per_server == 0 {
        return Err(Misfit::BadInput { what: "chips_per_server" });
    }
    if m.coolant.value().is_finite() { Ok(()) } else { Err(Misfit::BadInput { what: "coolant" }) }
}

struct Rack {
    bus_peak: Watts,
    peak: Watts,
    chips: u64,
    optics_share: f64,
    junction: Celsius,
}

/// Power on the server's bus for a chip that draws `chip`.
fn load(machine: &Machine, c: &SiteConstants, chip: Watts, optics_share: f64) -> Watts {
    let s = &c.server;
    let chip = match machine.power.at {
        PowerAt::Package => c.power.regulator.input(chip, machine.power.cap),
        PowerAt::Module => chip,
    };
    let rate = machine.scale_up.value();
    let switched = machine.scale_up_switched && machine.scale_up_domain > 1;
    let switch = if switched { Watts(rate * s.scale_up_power_j_per_byte) } else { Watts::ZERO };
    let optics = c.network.transceiver_power * (2.0 * optics_share * rate / c.network.port.value());
    let heat = chip + switch + optics + s.host_power + Watts(machine.scale_out.value() * s.nic_power_j_per_byte);
    heat * (1.0 + s.fan_share * air_share(machine.cooling, s))
}

fn air_share(cooling: Cooling, s: &ServerConstants) -> f64 {
    if cooling == Cooling::Liquid { (1.0 - s.liquid_share).max(0.0) } else { 1.0 }
}

fn rack(machine: &Machine, c: &SiteConstants) -> Fit<Rack> {
    let (s, cooling) = (&c.server, machine.cooling);
    let (rack_limit, package_limit, inlet) = match cooling {
        Cooling::Air => (s.rack_air, s.package_air, c.cooling.air_supply),
        Cooling::Liquid => (s.rack_liquid, s.package_liquid, machine.coolant),
    };
    if machine.power.cap.value() > package_limit.value() {
        return Err(Misfit::PackageTooHot { chip: machine.power.cap, limit: package_limit, cooling });
    }
    let junction = Celsius(inlet.value() + machine.power.cap.value() * machine.resistance.value());
    if junction.value() > s.junction.value() {
        return Err(Misfit::JunctionTooHot { junction, limit: s.junction });
    }
    let within = servers_per_rack(machine, c, rack_limit, 0.0)?;
    if within.chips >= machine.scale_up_domain || machine.scale_up_domain <= machine.chips_per_server {
        return Ok(Rack { junction, ..within });
    }
    let optics_share = if machine.scale_up_switched { 1.0 } else { (within.chips.max(1) as f64).cbrt().recip() };
    Ok(Rack { junction, ..servers_per_rack(machine, c, rack_limit, optics_share)? })
}

fn servers_per_rack(machine: &Machine, c: &SiteConstants, limit: Watts, optics_share: f64) -> Fit<Rack> {
    let bus_peak = load(machine, c, machine.power.cap.max(machine.power.busy), optics_share);
    let peak = rack_input(&c.power, bus_peak, bus_peak);
    let server = peak * machine.chips_per_server as f64;
    if !(server.value() > 0.0 && server.value() <= limit.value()) {
        return Err(Misfit::ServerExceedsRack { server, limit, cooling: machine.cooling });
    }
    let room = (c.server.rack_chips / machine.chips_per_server.max(1)).max(1);
    let servers = ((limit / server).floor().min(1e6) as u64).min(room);
    Ok(Rack { bus_peak, peak, chips: servers.saturating_mul(machine.chips_per_server), optics_share, junction: Celsius::ZERO })
}
