//! Many charts as PNG, on all cores.
//!
//! Invariant: the order in which threads finish does not show.

use std::collections::BTreeMap;
use std::sync::Mutex;

use anyhow::Context as _;

use crate::chart::to_png;

/// Renders every SVG.
///
/// # Errors
/// When one cannot be rendered; it is named.
pub(crate) fn pngs(charts: &BTreeMap<String, String>) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let waiting = Mutex::new(charts.iter());
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(charts.len());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    let work = || {
        let mut done = Vec::new();
        while let Some((name, svg)) = next() {
            done.push((name.clone(), to_png(svg).with_context(|| format!("the chart `{name}`"))?));
        }
        anyhow::Ok(done)
    };
    let parts: anyhow::Result<Vec<_>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("rendering does not panic")).collect()
    });
    Ok(parts?.into_iter().flatten().collect())
}
