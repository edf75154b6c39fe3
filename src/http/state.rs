use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    access::{Authorize, Grant, OpenGrants, Origins, Tickets},
    feed::Feed,
    quota::Usage,
};

/// What the handlers of all public routes share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) feed: Feed,
    pub(crate) access: Arc<dyn Authorize>,
    pub(crate) tickets: Arc<Tickets>,
    /// The grants of what is open, and the revocations that end them.
    pub(crate) grants: Arc<OpenGrants>,
    /// Which web pages may call.
    pub(crate) origins: Origins,
    /// What clients use, against their quotas.
    pub(crate) usage: Arc<Usage>,
    /// Cancelled when the hub closes. Waiting handlers then answer.
    pub(crate) closing: CancellationToken,
}

impl AppState {
    /// The feed, read for the subject of a grant.
    pub(crate) fn feed_for(&self, grant: &Grant) -> Feed {
        self.feed.for_subject(grant.shared_subject())
    }
}
