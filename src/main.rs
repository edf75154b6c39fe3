//! The `tallycast` binary: the command line around the library.

mod cli;

/// Messages are many and small, and often freed on another thread than the one that allocated them. The
/// system's allocator is slow at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    cli::run().await
}
