//! Statistics that make few assumptions: exact order-statistic intervals, paired ratios, bootstrap over trials.
//!
//! Invariants: an interval says its level; what too few samples cannot tell is `None`, never a guess; the coverage of
//! every interval is tested by simulation. Everything random is seeded.
