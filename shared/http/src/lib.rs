//! hearth-http
