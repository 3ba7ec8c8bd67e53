//! `hearth up` over TLS: with a certificate in files, and with one that an ACME server issues.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod acme;
mod certificate;
mod files;
