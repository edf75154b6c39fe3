use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use jiff::{SignedDuration, Timestamp};
use tallycast::{Accounts, Grant, KeyError, Scope, Signer};

use super::purchases::accounts;

/// How long the printed link works.
const TOKEN_HOURS: i64 = 24;

/// Addresses for documentation (RFC 5737, RFC 3849): nobody has them, and most machines have a route there.
const ELSEWHERE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ELSEWHERE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const ANY_PORT: u16 = 9;

/// What the page is told in the fragment of its address: a browser keeps that to itself.
#[derive(Debug)]
pub(super) struct Link {
    fragment: String,
}

impl Link {
    /// With a token that watches and records all accounts, and the ports of the lanes.
    pub(super) fn new(signer: &Signer, lanes: &[u16]) -> Result<Self, KeyError> {
        let grant = Grant::new(
            "demo",
            [Scope::Watch, Scope::Record],
            Accounts::list(accounts()),
        );
        let expires_at = Timestamp::now() + SignedDuration::from_hours(TOKEN_HOURS);
        let token = signer.sign(&grant.expiring_at(expires_at))?;
        let account = accounts().next().expect("there are twelve");
        let lanes: Vec<_> = lanes.iter().map(u16::to_string).collect();
        let lanes = lanes.join(",");
        Ok(Self {
            fragment: format!("token={token}&account={account}&lanes={lanes}"),
        })
    }

    /// For a browser on this machine: a server that listens on all addresses has none of its own.
    pub(super) fn here(&self, mut public: SocketAddr) -> String {
        if public.ip().is_unspecified() {
            public.set_ip(match public {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        self.at(public)
    }

    /// For a browser elsewhere in the network, where the server listens on all addresses and has such a one.
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

/// The address by which this machine would talk to others. To connect a UDP socket sends nothing: it only
/// looks the route up.
fn address_in_network(unspecified: IpAddr) -> Option<IpAddr> {
    let elsewhere: IpAddr = match unspecified {
        IpAddr::V4(_) => ELSEWHERE_V4.into(),
        IpAddr::V6(_) => ELSEWHERE_V6.into(),
    };
    let socket = UdpSocket::bind((unspecified, 0)).ok()?;
    socket.connect((elsewhere, ANY_PORT)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}
