use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;

/// How many hops of a forwarding header are read, from the nearest. No service has as many proxies in a row.
const HOPS_MAX: usize = 16;

/// The proxies whose forwarding headers are believed, as address ranges. The default is none.
///
/// A client's own address is then the nearest one in `Forwarded` (RFC 7239) or `X-Forwarded-For` that is not a
/// proxy's. From any other peer both headers are ignored, since anyone can send them.
///
/// ```
/// use tallycast::serve::TrustedProxies;
///
/// let proxies: TrustedProxies = "10.0.0.0/8, 127.0.0.1".parse()?;
/// assert!(proxies.contains("10.1.2.3".parse().unwrap()));
/// assert!(!proxies.contains("192.0.2.1".parse().unwrap()));
/// # Ok::<(), tallycast::serve::InvalidRange>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<AddressRange>);

/// Addresses with a common prefix, as IPv6 bits; IPv4 ones are mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AddressRange {
    first: u128,
    prefix_bits: u32,
}

/// An address range that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRange(String);

impl TrustedProxies {
    /// Whether `address` is a proxy's.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = bits(address);
        self.0.iter().any(|range| range.contains(bits))
    }

    /// The address of the client behind `peer`, which is the other end of the connection.
    ///
    /// If both headers are present and differ, a proxy sets only one of them and has passed the client's own copy of
    /// the other. It is unknown which, so neither is believed and the result is `peer`.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.0.is_empty() || !self.contains(peer) {
            return peer;
        }
        let forwarded = || hops(headers, "forwarded").map(forwarded_for);
        let x_forwarded = || hops(headers, "x-forwarded-for").map(address_of);
        let has = |name| headers.contains_key(name);
        match (has("forwarded"), has("x-forwarded-for")) {
            (false, false) => peer,
            (true, false) => self.nearest_client(peer, forwarded()),
            (false, true) => self.nearest_client(peer, x_forwarded()),
            (true, true) => {
                let client = self.nearest_client(peer, forwarded());
                let same = client == self.nearest_client(peer, x_forwarded());
                if same { client } else { peer }
            }
        }
    }

    /// Goes from hop to hop, away from us, as long as each is a proxy that names the next.
    fn nearest_client(&self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut client = peer;
        for hop in hops.take(HOPS_MAX) {
            let Some(address) = hop else { break };
            client = address;
            if !self.contains(address) {
                break;
            }
        }
        client
    }
}

impl FromStr for TrustedProxies {
    type Err = InvalidRange;

    /// Reads addresses and CIDR ranges, separated by commas.
    ///
    /// # Errors
    /// [`InvalidRange`] for one that is neither.
    fn from_str(list: &str) -> Result<Self, InvalidRange> {
        let ranges = list.split(',').map(str::trim);
        let ranges = ranges.filter(|range| !range.is_empty());
        ranges.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl AddressRange {
    fn contains(self, bits: u128) -> bool {
        bits & mask(self.prefix_bits) == self.first
    }
}

impl FromStr for AddressRange {
    type Err = InvalidRange;

    fn from_str(range: &str) -> Result<Self, InvalidRange> {
        let invalid = || InvalidRange(range.to_owned());
        let (address, prefix) = match range.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (range, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let family_bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits: u32 = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| invalid())?,
            None => family_bits,
        };
        if prefix_bits > family_bits {
            return Err(invalid());
        }
        let prefix_bits = 128 - family_bits + prefix_bits;
        let first = bits(address) & mask(prefix_bits);
        Ok(Self { first, prefix_bits })
    }
}

fn mask(prefix_bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - prefix_bits).unwrap_or(0)
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The elements of a list header, the nearest hop first. An element that is not text ends the list.
fn hops<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    let values = values.into_iter().rev();
    values.flat_map(|value| value.to_str().unwrap_or("").rsplit(',').map(str::trim))
}

/// The `for` of one `Forwarded` element; `None` if it is absent, obfuscated or unknown.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    address_of(node.trim().trim_matches('"'))
}

/// An address, with or without a port; an IPv6 one with a port is in brackets.
fn address_of(node: &str) -> Option<IpAddr> {
    let bracketed = || node.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || node.parse::<SocketAddr>().ok().map(|node| node.ip());
    node.parse().ok().or_else(with_port).or_else(bracketed)
}

impl fmt::Display for InvalidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no address range: write an address, or CIDR such as 10.0.0.0/8",
            self.0
        )
    }
}

impl std::error::Error for InvalidRange {}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn client(headers: &[(&'static str, &str)]) -> String {
        let proxies: TrustedProxies = "10.0.0.0/8,fd00::/8".parse().unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let headers = headers.collect();
        proxies.client(PROXY.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn nearest_address_that_is_no_proxy_is_the_client() {
        let forged = "1.1.1.1, 192.0.2.7, 10.9.9.9";
        assert_eq!(client(&[("x-forwarded-for", forged)]), "192.0.2.7");
        assert_eq!(
            client(&[("x-forwarded-for", "192.0.2.7:4711")]),
            "192.0.2.7"
        );
        let elements = r#"for=1.1.1.1, by=x;For="[2001:db8::1]:4711", for=10.2.2.2"#;
        assert_eq!(client(&[("forwarded", elements)]), "2001:db8::1");
        let [far, near] = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        assert_eq!(
            client(&[far, near]),
            "192.0.2.7",
            "a repeated header continues the list"
        );
    }

    #[test]
    fn unreadable_hop_ends_the_walk_at_the_proxy_that_named_it() {
        for unknown in ["unknown", "_hidden", "", "1.2.3", "é"] {
            let list = format!("192.0.2.7, {unknown}");
            assert_eq!(client(&[("x-forwarded-for", &list)]), PROXY, "{unknown}");
        }
        assert_eq!(
            client(&[("forwarded", "for=192.0.2.7, proto=https")]),
            PROXY
        );
        assert_eq!(client(&[]), PROXY);
    }

    #[test]
    fn contradicting_headers_are_not_believed() {
        let forwarded = ("forwarded", "for=192.0.2.7");
        assert_eq!(
            client(&[forwarded, ("x-forwarded-for", "192.0.2.8")]),
            PROXY
        );
        assert_eq!(
            client(&[forwarded, ("x-forwarded-for", "192.0.2.7")]),
            "192.0.2.7"
        );
    }

    #[test]
    fn headers_of_a_peer_that_is_no_proxy_are_ignored() {
        let headers = [(
            "x-forwarded-for".parse().unwrap(),
            "192.0.2.7".parse().unwrap(),
        )];
        let headers = headers.into_iter().collect();
        let stranger: IpAddr = "198.51.100.1".parse().unwrap();
        let proxies: TrustedProxies = PROXY.parse().unwrap();
        assert_eq!(proxies.client(stranger, &headers), stranger);
    }

    #[test]
    fn ranges_are_addresses_or_cidr() {
        let all: TrustedProxies = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()), "IPv4 only");
        let mapped: TrustedProxies = "192.0.2.1".parse().unwrap();
        assert!(mapped.contains("::ffff:192.0.2.1".parse().unwrap()));
        for invalid in [
            "10.0.0.0/33",
            "::/129",
            "proxy.example",
            "10.0.0.0/-1",
            "/8",
        ] {
            assert!(invalid.parse::<TrustedProxies>().is_err(), "{invalid}");
        }
    }
}
