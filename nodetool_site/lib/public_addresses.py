"""Which addresses of the network may be connected to on a user's word.

The lists are ours, after IANA's registries of special addresses: those of the standard
library differ between its versions. An IPv6 address that stands for an IPv4 address
is judged by that one.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(word) for word in text.split())


EVERYWHERE = _networks("0.0.0.0/0 ::/0")
# Where machines in clouds are told their keys, as far as it is not link-local: Oracle,
# Azure, Alibaba, Amazon, Google. No setting opens these.
_METADATA = _networks(
    "192.0.0.192/32 168.63.129.16/32 100.100.100.200/32 fd00:ec2::/32 fd20:ce::254/128"
)
# This machine and the networks behind it: loopback, private use, carriers and overlay
# networks, benchmarking (local proxies hand such addresses out), unique local.
_PRIVATE = _networks(
    "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 198.18.0.0/15 "
    "::1/128 fc00::/7"
)
# This network, link-local, protocol assignments, documentation, 6to4 relays,
# multicast, reserved.
_NO_HOSTS = _networks(
    "0.0.0.0/8 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 "
    "198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 "
    "2001::/23 2001:db8::/32 3fff::/20"
)
_UNICAST = IPv6Network("2000::/3")  # what of IPv6 has been given out at all
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = 0x5EFE  # in the middle of an address, before an IPv4 address
_ISATAP_MASK = 0xFCFFFFFF


def may_connect(text: str, *, opened: Iterable[Network] = ()) -> bool:
    """Tell whether an address, as a resolver writes it, may be connected to.

    ``opened``: what of this machine and of the networks behind it may be, too; it
    opens nothing that gives out credentials.

    Raises:
        ValueError: it is no address.
    """
    return all(_is_allowed(address, opened) for address in _meant(ip_address(text)))


def _is_allowed(address: Address, opened: Iterable[Network]) -> bool:
    if _is_in(address, _METADATA):
        return False
    if _is_in(address, _PRIVATE):
        return _is_in(address, opened)
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    return not _is_in(address, _NO_HOSTS)


def _meant(address: Address) -> Iterable[Address]:
    """Return the addresses that a packet to ``address`` may reach in the end."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (_last_bits(address),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if (int(address) >> 32) & _ISATAP_MASK == _ISATAP:
        return (address, _last_bits(address))
    return (address,)


def _last_bits(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
