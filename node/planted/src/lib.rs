//! The bugs that can be planted in a node: those of the core, of the driver, of the log and of the applications, by their
//! names; and where each belongs, for both hosts of a node, the process and the simulator.
//!
//! Invariant: without the feature `mutants` a [`Planted`] is empty and changes nothing. No released program has this feature.
//!
//! Deliberately absent: what the bugs are (each crate has its own), and who looks for them.

use raftian_apps::Machine;
use raftian_driver::Links;

/// At most one bug, and what it changes in the parts of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// The bug.
    #[cfg(feature = "mutants")]
    pub mutant: Option<Mutant>,
}

/// A planted bug: of the core, of the applications, or of what stands around them.
#[cfg(feature = "mutants")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A bug of the core.
    Raft(raftian_raft::Mutant),
    /// A bug of the replicated state machine.
    App(raftian_apps::Mutant),
    /// A bug of the storage.
    Wal(raftian_wal::Mutant),
    /// A bug of what stands around the core.
    Driver(raftian_driver::Mutant),
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// Every planted bug.
    pub fn all() -> impl Iterator<Item = Mutant> {
        let raft = raftian_raft::Mutant::ALL.iter().copied().map(Mutant::Raft);
        let apps = raftian_apps::Mutant::ALL.into_iter().map(Mutant::App);
        let wal = raftian_wal::Mutant::ALL.iter().copied().map(Mutant::Wal);
        let driver = raftian_driver::Mutant::ALL.iter().copied().map(Mutant::Driver);
        raft.chain(apps).chain(wal).chain(driver)
    }

    /// Its name in snake case. Those of the core have no prefix.
    pub fn name(self) -> String {
        match self {
            Mutant::Raft(mutant) => snake_case(&format!("{mutant:?}")),
            Mutant::App(mutant) => format!("app_{}", snake_case(&format!("{mutant:?}"))),
            Mutant::Wal(mutant) => format!("wal_{}", snake_case(&format!("{mutant:?}"))),
            Mutant::Driver(mutant) => format!("driver_{}", snake_case(&format!("{mutant:?}"))),
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Mutant> {
        Mutant::all().find(|mutant| mutant.name() == name)
    }
}

#[cfg(feature = "mutants")]
fn snake_case(camel_case: &str) -> String {
    let mut name = String::new();
    for letter in camel_case.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[cfg(feature = "mutants")]
impl Planted {
    /// Plants it in the core.
    pub fn in_core(self, options: &mut raftian_raft::Options) {
        if let Some(Mutant::Raft(mutant)) = self.mutant {
            options.mutant = Some(mutant);
        }
    }

    /// Plants it in the driver.
    pub fn in_driver(self, options: &mut raftian_driver::Options) {
        if let Some(Mutant::Driver(mutant)) = self.mutant {
            options.mutant = Some(mutant);
        }
    }

    /// Plants it in the log.
    pub fn in_log(self, options: &mut raftian_wal::Options) {
        if let Some(Mutant::Wal(mutant)) = self.mutant {
            options.mutant = Some(mutant);
        }
    }

    /// The links with it, if it is one of theirs.
    pub fn in_links(self, links: Links) -> Links {
        match self.mutant {
            Some(Mutant::Driver(mutant)) => links.plant(mutant),
            _ => links,
        }
    }

    /// The machine with it, if it is one of an application.
    pub fn in_machine(self, machine: Machine) -> Machine {
        match self.mutant {
            Some(Mutant::App(mutant)) => machine.plant(mutant),
            _ => machine,
        }
    }
}

#[cfg(not(feature = "mutants"))]
impl Planted {
    /// Plants nothing in the core.
    pub fn in_core(self, _: &mut raftian_raft::Options) {}

    /// Plants nothing in the driver.
    pub fn in_driver(self, _: &mut raftian_driver::Options) {}

    /// Plants nothing in the log.
    pub fn in_log(self, _: &mut raftian_wal::Options) {}

    /// The links as they are.
    pub fn in_links(self, links: Links) -> Links {
        links
    }

    /// The machine as it is.
    pub fn in_machine(self, machine: Machine) -> Machine {
        machine
    }
}
