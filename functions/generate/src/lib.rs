//! hearth-fn-generate
