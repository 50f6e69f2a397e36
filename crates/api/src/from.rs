//! Where a request comes from: the address at the other end of its connection, or, where that is a proxy which is trusted,
//! the one that the proxy names.
//!
//! Only the last part of what was forwarded is the proxy's own word; what stands before it may be anybody's. So the list is
//! read from its end, over proxies that are trusted too, to the first address that is not.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The address at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hop(pub(crate) IpAddr);

/// Whether a proxy is trusted.
pub(crate) fn is_trusted(trusted: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// The address of whoever sent a request that came from `hop`.
pub(crate) fn client(trusted: &[IpNet], hop: IpAddr, headers: &HeaderMap) -> IpAddr {
    if !is_trusted(trusted, hop) {
        return hop;
    }
    // A proxy that sets one of them hands the other on as the client wrote it. Those that are used most set this one.
    let forwarded = if headers.contains_key(X_FORWARDED_FOR) {
        parts(headers, X_FORWARDED_FOR).map(parse).collect::<Vec<_>>()
    } else {
        parts(headers, header::FORWARDED).map(forwarded_for).collect()
    };
    let mut client = hop;
    for address in forwarded.into_iter().rev() {
        let Some(address) = address else { break };
        client = address;
        if !is_trusted(trusted, client) {
            break;
        }
    }
    client
}

/// The header by which a request says that it was forwarded.
pub(crate) fn forwarded(headers: &HeaderMap) -> Option<&HeaderName> {
    headers
        .keys()
        .find(|name| **name == header::FORWARDED || **name == X_REAL_IP || name.as_str().starts_with("x-forwarded-"))
}

fn parts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().map(HeaderValue::to_str);
    // What is not text is a part that is no address.
    lines.flat_map(|line| line.unwrap_or("?").split(','))
}

fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for")).and_then(|(_, value)| parse(value))
}

/// An address with or without a port, in quotes or not.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(hop: &str, headers: &[(&HeaderName, &str)]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().unwrap()).into();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        client(&trusted, hop.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let forged = [(&X_FORWARDED_FOR, "198.51.100.7"), (&header::FORWARDED, "for=198.51.100.7")];
        assert_eq!(from("192.0.2.1", &forged), "192.0.2.1");
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &forged[..1]), "198.51.100.7");
        assert_eq!(from("::ffff:10.0.0.1", &forged[1..]), "198.51.100.7");
    }

    #[test]
    fn of_a_list_the_last_that_is_not_trusted_counts() {
        let list = |value: &'static str| from("10.0.0.1", &[(&X_FORWARDED_FOR, value)]);
        assert_eq!(list("1.1.1.1, 198.51.100.7"), "198.51.100.7");
        assert_eq!(list("1.1.1.1, 198.51.100.7, 10.0.0.2"), "198.51.100.7");
        assert_eq!(list("10.0.0.3, 10.0.0.2"), "10.0.0.3");
        assert_eq!(list("198.51.100.7:4711"), "198.51.100.7");
        // What a proxy of ours did not write is not looked at.
        assert_eq!(list("198.51.100.7, unknown, 10.0.0.2"), "10.0.0.2");
        let lines = [(&X_FORWARDED_FOR, "1.1.1.1"), (&X_FORWARDED_FOR, "198.51.100.7")];
        assert_eq!(from("10.0.0.1", &lines), "198.51.100.7");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it_and_goes_after_what_proxies_set() {
        let one = |value: &'static str| from("10.0.0.1", &[(&header::FORWARDED, value)]);
        assert_eq!(one("For=\"[2001:db9::7]:4711\";proto=https"), "2001:db9::7");
        assert_eq!(one("for=1.1.1.1, proto=http;for=198.51.100.7;by=10.0.0.1"), "198.51.100.7");
        assert_eq!(one("for=_hidden"), "10.0.0.1");
        let both = [(&header::FORWARDED, "for=1.1.1.1"), (&X_FORWARDED_FOR, "198.51.100.7")];
        assert_eq!(from("10.0.0.1", &both), "198.51.100.7");
    }
}
