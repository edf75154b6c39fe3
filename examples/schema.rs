//! Prints the contract as JSON Schema, for `make types`: `cargo run --example schema --features schema`.

fn main() {
    println!("{:#}", tallycast::contract());
}
