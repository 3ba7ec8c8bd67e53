//! The credential of a request that opens a socket.

use hearth_wire::{
    ApiError,
    native::sockets::{SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX},
};
use http::{HeaderMap, header::SEC_WEBSOCKET_PROTOCOL};

use crate::auth;

/// Returns the credential: that of any other request, or the token that a browser, which can't set headers, sends as a
/// subprotocol.
///
/// # Errors
/// `unauthorized` if there is none.
pub fn socket_credential(headers: &HeaderMap) -> Result<&str, ApiError> {
    let token = || protocols(headers).find_map(|name| name.strip_prefix(TOKEN_SUBPROTOCOL_PREFIX));
    auth::credential(headers).or_else(|error| token().filter(|token| !token.is_empty()).ok_or(error))
}

/// Returns the subprotocol that the response has: a browser closes a socket whose response has none of those that it asked for.
#[must_use]
pub fn selected_subprotocol(headers: &HeaderMap) -> Option<&'static str> {
    protocols(headers).any(|name| name == SUBPROTOCOL).then_some(SUBPROTOCOL)
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_is_a_header_or_a_subprotocol() {
        let headers = |list: &[(&'static str, &'static str)]| -> HeaderMap {
            list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        let browser = headers(&[("sec-websocket-protocol", "hearth.v1, hearth.token.hth_a")]);
        assert_eq!(socket_credential(&browser).unwrap(), "hth_a");
        assert_eq!(selected_subprotocol(&browser), Some("hearth.v1"));
        let program =
            headers(&[("authorization", "Bearer hth_b"), ("sec-websocket-protocol", "hearth.token.hth_a")]);
        assert_eq!(socket_credential(&program).unwrap(), "hth_b");
        assert_eq!(selected_subprotocol(&program), None);
        for none in [headers(&[]), headers(&[("sec-websocket-protocol", "hearth.v1, hearth.token.")])] {
            assert!(socket_credential(&none).is_err());
        }
    }
}
