//! hearth-telemetry
