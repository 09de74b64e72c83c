//! `raftianctl run --list`: the scenarios that come with raftian, and what can play them.

use raftian_bench::lab_engine::{is_by_hand, unfit};
use raftian_script::FIGURES;
use serde::Serialize;

use crate::cli::Context;
use crate::failure::Failure;
use crate::table::{Align, Table};

/// A scenario in the list.
#[derive(Debug, Serialize)]
struct Listed {
    /// Its name.
    name: &'static str,
    /// What it is about, with others.
    group: &'static str,
    /// What it is, in a line.
    title: String,
    /// The engines that can play it.
    engines: Vec<&'static str>,
    /// Whether real processes are moved by hand for it.
    by_hand: bool,
    /// Why real processes cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not_processes: Option<String>,
}

/// Lists them.
pub(super) fn list(context: &Context) -> Result<(), Failure> {
    let listed: Vec<Listed> = FIGURES
        .iter()
        .map(|figure| {
            let scenario = figure.scenario();
            let unfit = unfit(&scenario);
            let engines = if unfit.is_some() { vec!["sim"] } else { vec!["sim", "processes"] };
            let by_hand = unfit.is_none() && is_by_hand(&scenario);
            let why_not_processes = unfit.map(|unfit| unfit.to_string());
            Listed {
                name: figure.name,
                group: figure.group,
                title: scenario.title,
                engines,
                by_hand,
                why_not_processes,
            }
        })
        .collect();
    context.output.report(&listed, |listed| {
        let mut text = String::new();
        for group in listed.chunk_by(|one, next| one.group == next.group) {
            let mut table = Table::new([
                (group[0].group, Align::Left),
                ("ENGINES", Align::Left),
                ("WHAT THERE IS TO SEE", Align::Left),
            ]);
            for Listed { name, engines, title, .. } in group {
                table.row([*name, engines.join(", ").as_str(), title.as_str()]);
            }
            text.push_str(&table.render(context.output.colour()));
            text.push('\n');
        }
        let refused = |listed: &Listed| {
            let why = listed.why_not_processes.as_ref()?;
            Some(format!("  {}, {}\n", listed.name, why.split("; play it with").next().unwrap_or(why)))
        };
        text.push_str("Real processes cannot play:\n");
        text.extend(listed.iter().filter_map(refused));
        text + "\nPlay one with `raftianctl run NAME`, or `raftianctl run NAME --engine processes`.\n"
    })
}
