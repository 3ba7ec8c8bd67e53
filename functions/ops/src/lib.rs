//! hearth-fn-ops
