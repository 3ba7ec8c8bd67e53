//! hearth-node
