//! The cores of raftian and openraft beside each other: `cargo run --release` in this folder.
//!
//! Both have three replicas in memory on one thread, a disk that takes everything and costs nothing, commands of 64
//! bytes, and the watch of `speed.rs`, which counts the time on the processor. openraft runs on tokio's single-threaded
//! runtime, as it is meant to, its replicas call each other directly, and its log is silenced.
//!
//! What is compared is what a command costs all three replicas together. raftian's is counted until nobody has anything
//! to do; openraft's until its leader answers, and what its followers still have to do falls into the next command.

mod arm;
#[path = "../../speed.rs"]
mod ours;
mod store;

fn main() {
    println!("raftian");
    ours::main();
    println!("\nopenraft 0.10.0-alpha.37");
    arm::main();
}
