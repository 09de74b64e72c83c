//! The sequential objects that histories are held against, one application a file.
//!
//! Invariant: they share the applications' grammar and nothing of their code, so that a bug in an application shows as
//! a history that its model cannot explain. An object knows nothing of the others: a history is in order if it is for each
//! object (linearizability is local). An op that touches several objects is one op on each, and whether they were one step
//! is not for these models to say.

pub(crate) mod attack;
pub(crate) mod canvas;
pub(crate) mod kv;
