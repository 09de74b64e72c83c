//! A run's report, as Markdown and as one HTML file that needs no other, and the charts in it.
//!
//! Invariant: a pure function of the findings and the manifest; same findings, same bytes.
