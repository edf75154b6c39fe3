use std::net::{IpAddr, SocketAddr};

/// The protocols of a Kubernetes service.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// Whether Kubernetes has set this variable. It sets several for each service in every container of a namespace,
/// named after the service: a service `tallycast-metrics` yields `TALLYCAST_METRICS_PORT=tcp://10.0.0.1:80`.
///
/// `key` is the name in lower case, without our prefix. The value must fit as well: `TALLYCAST_PORT=8080` is
/// somebody's guess at a setting, and has to be reported.
pub(super) fn is_service_variable(key: &str, value: &str) -> bool {
    // The name of the service may end like a variable itself, so each place where it may end is tried.
    let after_service = key.match_indices('_').map(|(at, _)| &key[at + 1..]);
    let mut endings = std::iter::once(key).chain(after_service);
    endings.any(|ending| is_service_ending(ending, value))
}

/// `ending`: what follows the service's name.
fn is_service_ending(ending: &str, value: &str) -> bool {
    match ending {
        "service_host" => return is_address(value),
        "service_port" => return port(value).is_some(),
        "port" => return endpoint(value).is_some(),
        _ => {}
    }
    if let Some(name) = ending.strip_prefix("service_port_") {
        return !name.is_empty() && port(value).is_some();
    }
    ending
        .strip_prefix("port_")
        .is_some_and(|ending| is_port_ending(ending, value))
}

/// `ending`: such as `80_tcp` or `80_tcp_addr`.
fn is_port_ending(ending: &str, value: &str) -> bool {
    let mut parts = ending.split('_');
    let (Some(number), Some(protocol)) = (parts.next().and_then(port), parts.next()) else {
        return false;
    };
    if !PROTOCOLS.contains(&protocol) {
        return false;
    }
    match (parts.next(), parts.next()) {
        (None, _) => endpoint(value) == Some((protocol, number)),
        (Some("proto"), None) => value == protocol,
        (Some("port"), None) => port(value) == Some(number),
        (Some("addr"), None) => is_address(value),
        _ => false,
    }
}

/// The protocol and the port of a value such as `tcp://10.0.0.1:80`.
fn endpoint(value: &str) -> Option<(&str, u16)> {
    let (protocol, address) = value.split_once("://")?;
    let address: SocketAddr = address.parse().ok()?;
    let is_known = PROTOCOLS.contains(&protocol) && address.port() > 0;
    is_known.then_some((protocol, address.port()))
}

fn port(value: &str) -> Option<u16> {
    value.parse().ok().filter(|port| *port > 0)
}

fn is_address(value: &str) -> bool {
    value.parse::<IpAddr>().is_ok()
}
