//! The judges, tried on runs that were written by hand, and on runs that a plan made.

mod canvas;
mod cross_check;
mod game;
mod plan;
mod run;
mod snapshot;
mod store;
