//! The `tallycast` binary: the command line around the library.

mod cli;

/// Messages are many, small, and freed on another thread than the one that made them: what the
/// system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    cli::run().await
}
