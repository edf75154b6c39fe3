use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use jiff::{SignedDuration, Timestamp};
use tallycast::{
    Grant, Scope,
    access::{Accounts, KeyError, Signer},
};

use super::purchases::accounts;

/// How long the printed link is valid.
const TOKEN_HOURS: i64 = 24;

/// Documentation addresses (RFC 5737, RFC 3849): no machine has them, and most machines have a route to them.
const REMOTE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const REMOTE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const ANY_PORT: u16 = 9;

/// The link to the page. Its parameters are in the fragment, which a browser does not send to the server.
#[derive(Debug)]
pub(super) struct Link {
    fragment: String,
}

impl Link {
    /// With a token to watch and record all accounts, and the extra ports.
    pub(super) fn new(signer: &Signer, extra_ports: &[u16]) -> Result<Self, KeyError> {
        let grant = Grant::new(
            "demo",
            [Scope::Watch, Scope::Record],
            Accounts::list(accounts()),
        );
        let expires_at = Timestamp::now() + SignedDuration::from_hours(TOKEN_HOURS);
        let token = signer.sign(&grant.expiring_at(expires_at))?;
        let account = accounts().next().expect("there are twelve");
        let ports: Vec<_> = extra_ports.iter().map(u16::to_string).collect();
        let ports = ports.join(",");
        Ok(Self {
            fragment: format!("token={token}&account={account}&lanes={ports}"),
        })
    }

    /// For a browser on this machine. If the server listens on all addresses, this is the loopback address.
    pub(super) fn here(&self, mut public: SocketAddr) -> String {
        if public.ip().is_unspecified() {
            public.set_ip(match public {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        self.at(public)
    }

    /// For a browser on another machine, if the server listens on all addresses and this machine is in a network.
    pub(super) fn nearby(&self, mut public: SocketAddr) -> Option<String> {
        if !public.ip().is_unspecified() {
            return None;
        }
        public.set_ip(address_in_network(public.ip())?);
        Some(self.at(public))
    }

    fn at(&self, address: SocketAddr) -> String {
        format!("http://{address}/#{}", self.fragment)
    }
}

/// The address from which this machine would reach others. Connecting a UDP socket sends nothing; it only looks up
/// the route.
fn address_in_network(unspecified: IpAddr) -> Option<IpAddr> {
    let remote: IpAddr = match unspecified {
        IpAddr::V4(_) => REMOTE_V4.into(),
        IpAddr::V6(_) => REMOTE_V6.into(),
    };
    let socket = UdpSocket::bind((unspecified, 0)).ok()?;
    socket.connect((remote, ANY_PORT)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}
