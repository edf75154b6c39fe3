use std::net::{IpAddr, SocketAddr};

use axum::Router;
use futures_util::future::try_join_all;
use tallycast::{Limits, serve, serve::Serve};
use tokio::net::TcpListener;

use super::error::DemoError;

/// Extra ports for the page. A browser opens six connections to an origin, and the page follows its account over more
/// than that: by Socket.IO over polling, by Server-Sent Events, by long polling.
const EXTRA_LISTENERS: usize = 3;

/// A bound listener and its address.
pub(super) struct DemoListener {
    listener: TcpListener,
    pub(super) address: SocketAddr,
}

impl DemoListener {
    pub(super) async fn bind(address: &str) -> Result<Self, DemoError> {
        let failed = |cause| DemoError::Listen {
            address: address.to_owned(),
            cause,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The extra listeners, on the IP address of the public one.
    pub(super) async fn bind_extra(ip: IpAddr) -> Result<Vec<Self>, DemoError> {
        let address = SocketAddr::new(ip, 0).to_string();
        try_join_all([address.as_str(); EXTRA_LISTENERS].map(Self::bind)).await
    }

    pub(super) fn serve(self, router: Router) -> Serve {
        serve(self.listener, router, Limits::default())
    }
}
