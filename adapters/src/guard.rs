//! Which addresses may be dialled: public ones, and those that the node's configuration allows. It is asked about
//! the resolved address that is then used, and about an address that stands in a URL itself; so no name, and no
//! change of what a name means, leads a customer's destination into our own network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The guard, with what the configuration allows.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allowed: Vec<IpNet>,
}

/// An address that may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is not a public address ({what}) and not in allowed_networks")]
pub struct Refused {
    /// The address.
    pub address: IpAddr,
    /// What it is instead.
    pub what: What,
}

/// What an address is that is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct What(&'static str);

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A network that cannot have been meant as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "allowed network {0}: its prefix reaches beyond the IPv4 addresses inside IPv6, so it would allow others and not these; write \
     it as IPv4"
)]
pub struct Unclear(pub IpNet);

impl Guard {
    /// Allows public addresses and these networks.
    pub fn new(allowed: Vec<IpNet>) -> Result<Self, Unclear> {
        let allowed = allowed.into_iter().map(canonical).collect::<Result<_, _>>()?;
        Ok(Self { allowed })
    }

    /// Whether `address` may be dialled.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        // An IPv4 address in IPv6's clothes reaches the IPv4 host, so it is judged as that.
        let meant = address.to_canonical();
        if self.allowed.iter().any(|network| network.contains(&meant)) {
            return Ok(());
        }
        let what = match meant {
            IpAddr::V4(meant) => not_public_v4(meant),
            IpAddr::V6(meant) => not_public_v6(meant),
        };
        match what {
            None => Ok(()),
            Some(what) => Err(Refused {
                address,
                what: What(what),
            }),
        }
    }
}

/// A network in the form in which addresses are judged: one of IPv4 addresses in IPv6's clothes would never match.
fn canonical(network: IpNet) -> Result<IpNet, Unclear> {
    let IpNet::V6(v6) = network else {
        return Ok(network);
    };
    let Some(address) = v6.addr().to_ipv4_mapped() else {
        return Ok(network);
    };
    let prefix = v6
        .prefix_len()
        .checked_sub(MAPPED_PREFIX)
        .ok_or(Unclear(network))?;
    let v4 = Ipv4Net::new(address, prefix).map_err(|_| Unclear(network))?;
    Ok(v4.into())
}

/// Bits before the IPv4 address in `::ffff:a.b.c.d`.
const MAPPED_PREFIX: u8 = 96;

/// IPv4: public unless listed (IANA's special-purpose registry, and what clouds put beside it).
const NOT_PUBLIC_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared by a carrier"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), "a cloud's own services"),
    (v4(169, 254, 0, 0, 16), "link-local, cloud metadata"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "protocol assignments"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmarks"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved, broadcast"),
];

/// IPv6: only global unicast is public, and not all of it.
const GLOBAL_UNICAST_V6: Ipv6Net = v6([0x2000, 0, 0], 3);
const NOT_PUBLIC_V6: &[(Ipv6Net, &str)] = &[
    (v6([0x2001, 0, 0], 23), "protocol assignments, Teredo"),
    (v6([0x2001, 0x0db8, 0], 32), "documentation"),
    (v6([0x2002, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0], 20), "documentation"),
];
/// Words for some of what is not global unicast; the rest is refused just the same.
const NAMED_V6: &[(Ipv6Net, &str)] = &[
    (v6([0x0064, 0xff9b, 0], 96), "NAT64"),
    (v6([0x0064, 0xff9b, 1], 48), "NAT64"),
    (v6([0x0100, 0, 0], 64), "discard"),
    (v6([0xfc00, 0, 0], 7), "private, cloud metadata"),
    (v6([0xfe80, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0], 8), "multicast"),
];

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    let mut listed = NOT_PUBLIC_V4.iter();
    listed
        .find(|(network, _)| network.contains(&address))
        .map(|(_, what)| *what)
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    let of = |list: &[(Ipv6Net, &'static str)]| {
        let mut listed = list.iter();
        listed
            .find(|(network, _)| network.contains(&address))
            .map(|(_, what)| *what)
    };
    if GLOBAL_UNICAST_V6.contains(&address) {
        of(NOT_PUBLIC_V6)
    } else if address.is_loopback() {
        Some("loopback")
    } else {
        Some(of(NAMED_V6).unwrap_or("not global unicast"))
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(head: [u16; 3], prefix: u8) -> Ipv6Net {
    let [a, b, c] = head;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_allowed() {
        let guard = Guard::default();
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001:82a::200e",
            "2001:200::1",
            "::ffff:1.1.1.1",
        ] {
            assert_eq!(guard.check(public.parse().unwrap()), Ok(()), "{public}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        let guard = Guard::default();
        for (address, what) in [
            ("0.0.0.0", "this network"),
            ("10.1.2.3", "private"),
            ("100.100.100.200", "shared by a carrier"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.255", "loopback"),
            ("168.63.129.16", "a cloud's own services"),
            ("169.254.169.254", "link-local, cloud metadata"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "protocol assignments"),
            ("192.0.2.1", "documentation"),
            ("192.88.99.1", "6to4 relay"),
            ("192.168.1.1", "private"),
            ("198.19.0.1", "benchmarks"),
            ("198.51.100.1", "documentation"),
            ("203.0.113.1", "documentation"),
            ("239.1.1.1", "multicast"),
            ("255.255.255.255", "reserved, broadcast"),
            ("::", "not global unicast"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:10.0.0.1", "private"),
            ("::ffff:169.254.169.254", "link-local, cloud metadata"),
            ("::127.0.0.1", "not global unicast"),
            ("64:ff9b::7f00:1", "NAT64"),
            ("64:ff9b:1::a00:1", "NAT64"),
            ("100::1", "discard"),
            ("2001::1", "protocol assignments, Teredo"),
            ("2001:db8::1", "documentation"),
            ("2002:7f00:1::", "6to4"),
            ("3fff::1", "documentation"),
            ("5f00::1", "not global unicast"),
            ("fd00:ec2::254", "private, cloud metadata"),
            ("fe80::1", "link-local"),
            ("fec0::1", "site-local"),
            ("ff02::1", "multicast"),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(
                guard.check(address),
                Err(Refused {
                    address,
                    what: What(what)
                })
            );
        }
    }

    #[test]
    fn an_allowed_network_opens_itself_and_nothing_else() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]).unwrap();

        assert_eq!(guard.check("127.0.0.1".parse().unwrap()), Ok(()));
        assert_eq!(guard.check("::ffff:127.0.0.1".parse().unwrap()), Ok(()));
        assert_eq!(guard.check("fd12::1".parse().unwrap()), Ok(()));
        assert!(guard.check("::1".parse().unwrap()).is_err());
        assert!(guard.check("10.0.0.1".parse().unwrap()).is_err());
    }

    #[test]
    fn an_allowed_ipv4_network_in_ipv6s_clothes_opens_the_ipv4_network() {
        let guard = Guard::new(vec!["::ffff:10.1.0.0/112".parse().unwrap()]).unwrap();

        assert_eq!(guard.check("10.1.2.3".parse().unwrap()), Ok(()));
        assert_eq!(guard.check("::ffff:10.1.2.3".parse().unwrap()), Ok(()));
        assert!(guard.check("10.2.0.1".parse().unwrap()).is_err());
        assert!(guard.check("::1".parse().unwrap()).is_err());
    }

    #[test]
    fn a_prefix_that_leaves_the_ipv4_addresses_inside_ipv6_is_not_taken() {
        // Read as IPv6 this is ::/8, with loopback in it and without 10.0.0.1.
        let network: IpNet = "::ffff:10.0.0.0/8".parse().unwrap();

        assert_eq!(Guard::new(vec![network]).unwrap_err(), Unclear(network));
    }
}
