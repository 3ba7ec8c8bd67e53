//! hearth-fn-models
