//! The operations of a history, found by name.
//!
//! Invariant: an operation that is usable is the only one of its name and did not end before it began.

use std::collections::HashMap;

use crate::history::{Operation, Outcome};
use crate::verdict::{Findings, Invariant};

/// The operations of a history.
#[derive(Debug)]
pub(crate) struct Operations<'a> {
    /// Those that can be judged. Elsewhere an operation is known by its place among them.
    pub(crate) usable: Vec<&'a Operation>,
    /// Each client's number: names with a number in place of a text are quicker to find.
    clients: HashMap<&'a str, u32>,
    /// By name, the place of an operation among the usable ones; `None` if it is not among them.
    places: HashMap<(u32, u64), Option<u32>>,
}

impl<'a> Operations<'a> {
    /// Checks that the history is there, and finds the operations that can be judged.
    pub(crate) fn of(history: &'a [Operation], findings: &mut Findings) -> Operations<'a> {
        if history.is_empty() {
            findings.add(Invariant::Evidence, "the history is empty: no client asked for anything");
        }
        let mut clients = HashMap::new();
        let mut places = HashMap::with_capacity(history.len());
        let mut usable = Vec::with_capacity(history.len());
        for operation in history {
            let new = u32::try_from(clients.len()).expect("fewer than 2³² clients fit in memory");
            let client = *clients.entry(operation.client.as_str()).or_insert(new);
            let mut place = None;
            if places.contains_key(&(client, operation.serial)) {
                findings.add(Invariant::Evidence, format!("{operation} is in the history more than once"));
                continue;
            } else if operation.completed_ns.is_some_and(|completed_ns| completed_ns < operation.invoked_ns) {
                findings.add(Invariant::Evidence, format!("{operation} completed before it was invoked"));
            } else {
                place = Some(u32::try_from(usable.len()).expect("fewer than 2³² operations fit in memory"));
                usable.push(operation);
            }
            places.insert((client, operation.serial), place);
            if operation.completed_ns.is_none() && matches!(operation.outcome, Outcome::Ok { .. }) {
                findings.add(Invariant::Evidence, format!("{operation} was acknowledged and nobody noted when"));
            }
        }
        Operations { usable, clients, places }
    }

    /// The place of a usable operation.
    pub(crate) fn place(&self, client: &str, serial: u64) -> Option<usize> {
        let client = *self.clients.get(client)?;
        self.places.get(&(client, serial)).copied().flatten().map(|place| place as usize)
    }

    /// Whether the history has this client, and yet no operation of this name, usable or not.
    pub(crate) fn is_missing(&self, client: &str, serial: u64) -> bool {
        self.clients.get(client).is_some_and(|client| !self.places.contains_key(&(*client, serial)))
    }
}
