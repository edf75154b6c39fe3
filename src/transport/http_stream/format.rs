use bytes::Bytes;

use crate::feed::Message;

/// How a transport writes messages into its response.
pub(super) trait StreamFormat: Send + Sync + 'static {
    /// The media type of the response.
    const CONTENT_TYPE: &str;

    /// The text before the first message.
    fn prelude(&self) -> Bytes {
        Bytes::new()
    }

    /// One message: its name, its finished JSON, and the position of a client that has applied it.
    fn message(&self, name: &str, json: &str, position: Option<&str>) -> Bytes;

    /// Text without meaning, which keeps proxies from closing an idle connection.
    fn keep_alive(&self) -> Bytes;

    /// A message of the feed in this format.
    fn encode(&self, message: &Message) -> Bytes {
        let position = message.position().to_string();
        self.message(message.name(), message.json().get(), Some(&position))
    }
}

/// Concatenates texts, in exactly the memory that they need: a client that does not read keeps a chunk in memory, and
/// a buffer that grows by doubling may be twice as large.
pub(super) fn concat(texts: &[&str]) -> Bytes {
    texts.concat().into()
}
