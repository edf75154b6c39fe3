use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// The refusal of a connection whose address has too many, written before its request is read.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\n\
    content-type: application/problem+json\r\ncache-control: no-store\r\nretry-after: 5\r\n\
    connection: close\r\ncontent-length: 151\r\n\r\n\
    {\"type\":\"about:blank\",\"title\":\"Too Many Requests\",\"status\":429,\
    \"code\":\"too_many_requests\",\"detail\":\"this address has too many connections: close some\"}";

/// How many refused connections are answered at a time; further ones are closed without an answer. Each holds a file
/// descriptor beyond the limit on connections.
const REFUSED_MAX: usize = 16;

/// How long a refused client may take to read the answer. Closing earlier, with its request unread, would make the
/// kernel send a reset, which can destroy the answer.
const LINGER: Duration = Duration::from_secs(1);

/// How many bytes of the client's request are read meanwhile.
const LINGER_BYTES_MAX: u64 = 64 * 1024;

/// Answers connections that exceed their address's limit.
pub(super) struct Refusals(Arc<Semaphore>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(REFUSED_MAX)))
    }
}

impl Refusals {
    /// Answers 429 in a task of its own and closes.
    pub(super) fn refuse(&self, tcp: TcpStream, tasks: &TaskTracker) {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            return;
        };
        tasks.spawn(async move {
            let _permit = permit;
            // The client may be gone, or take too long: then it gets no answer.
            let _ = timeout(LINGER, answer(tcp)).await;
        });
    }
}

async fn answer(mut tcp: TcpStream) -> std::io::Result<()> {
    tcp.write_all(TOO_MANY).await?;
    tcp.shutdown().await?;
    let mut request = tcp.take(LINGER_BYTES_MAX);
    let mut scratch = [0; 1024];
    while request.read(&mut scratch).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_of_the_answer_is_right() {
        let answer = std::str::from_utf8(TOO_MANY).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
    }
}
