//! Wake-on-LAN: wakes another machine in the network for the gateway, and finds the address by which this one is woken.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use hearth_domain::MacAddress;
use hearth_settings::NodeSettings;
use hearth_wire::{ApiError, ErrorCode};
use tokio::net::UdpSocket;

/// Number of copies of a packet: UDP may lose one.
const PACKET_COUNT: usize = 3;
/// Value of the column `Destination` of the default route in `/proc/net/route`.
const DEFAULT_ROUTE: &str = "00000000";

/// Sender of wake-up packets: allowed or not by the settings, and the address that the packets go to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waker {
    is_allowed: bool,
    address: SocketAddr,
}

impl Waker {
    /// The waker of a node with these settings.
    pub(crate) fn new(settings: &NodeSettings) -> Self {
        Self { is_allowed: settings.may_wake, address: settings.wake_address }
    }

    /// Sends the packets that wake the machine with this network card.
    ///
    /// # Errors
    /// `forbidden` unless the settings allow it; `invalid_request` for another text than an address; `internal` if the packets
    /// can't be sent.
    pub(crate) async fn wake(self, mac: &str) -> Result<(), ApiError> {
        if !self.is_allowed {
            let message = "this node wakes no other machines: its setting node.may_wake is false";
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
        let mac = MacAddress::parse(mac)
            .ok_or_else(|| ApiError::invalid("mac", "mac must be six bytes, such as 00:11:22:33:44:55"))?;
        tracing::info!(%mac, address = %self.address, "a machine is woken for the gateway");
        self.send(mac).await.map_err(|error| {
            let message = format!("the wake-up packet can't be sent to {}: {error}", self.address);
            ApiError::new(ErrorCode::Internal, message)
        })
    }

    async fn send(self, mac: MacAddress) -> io::Result<()> {
        let own: SocketAddr = match self.address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(own).await?;
        socket.set_broadcast(true)?;
        let packet = mac.wake_packet();
        for _ in 0..PACKET_COUNT {
            socket.send_to(&packet, self.address).await?;
        }
        Ok(())
    }
}

/// The address of the network card by which another node may wake this machine: that of the settings, else that of the card of
/// the default route, where the system tells it (Linux).
#[must_use]
pub fn own_mac(settings: &NodeSettings) -> Option<String> {
    settings.mac.clone().or_else(|| {
        let interface = default_interface(&fs::read_to_string("/proc/net/route").ok()?)?;
        let mac = fs::read_to_string(format!("/sys/class/net/{interface}/address")).ok()?;
        MacAddress::parse(mac.trim()).map(|mac| mac.to_string())
    })
}

/// The interface of the default route, by the system's table of routes.
fn default_interface(routes: &str) -> Option<String> {
    let mut rows = routes.lines().skip(1).map(|line| line.split_whitespace());
    rows.find_map(|mut row| {
        let interface = row.next().filter(|name| !name.contains('/'))?;
        (row.next() == Some(DEFAULT_ROUTE)).then(|| interface.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn packet_arrives_where_the_settings_say() {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let wake_address = receiver.local_addr().unwrap();
        let settings = NodeSettings { may_wake: true, wake_address, ..NodeSettings::default() };
        Waker::new(&settings).wake("00:11:22:33:44:55").await.unwrap();
        let mut packet = [0; 200];
        let (length, _) = receiver.recv_from(&mut packet).await.unwrap();
        assert_eq!(
            (length, &packet[..12]),
            (102, &[255, 255, 255, 255, 255, 255, 0, 17, 34, 51, 68, 85][..])
        );
    }

    #[tokio::test]
    async fn node_wakes_others_only_if_its_settings_allow_it() {
        let refused = Waker::new(&NodeSettings::default()).wake("00:11:22:33:44:55").await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::Forbidden);
        let settings = NodeSettings { may_wake: true, ..NodeSettings::default() };
        let invalid = Waker::new(&settings).wake("everyone").await;
        assert_eq!(invalid.unwrap_err().param.as_deref(), Some("mac"));
    }

    #[test]
    fn card_of_the_default_route_is_found() {
        let routes = "Iface\tDestination\tGateway\nwg0\t0000000A\t00000000\neth1\t00000000\t0102A8C0\n";
        assert_eq!(default_interface(routes).as_deref(), Some("eth1"));
        assert_eq!(default_interface("Iface\tDestination\nwg0\t0000000A\n"), None);
        let settings = NodeSettings { mac: Some("00:11:22:33:44:55".to_owned()), ..NodeSettings::default() };
        assert_eq!(own_mac(&settings).as_deref(), Some("00:11:22:33:44:55"));
    }
}
