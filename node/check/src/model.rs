//! The sequential objects that histories are held against, one application a file.
//!
//! Invariant: they share the applications' grammar and nothing of their code, so that a bug in an application shows as
//! a history that its model cannot explain. Each op touches one object, and an object knows nothing of the others: a
//! history is in order if it is for each object (linearizability is local).

pub(crate) mod attack;
pub(crate) mod kv;
