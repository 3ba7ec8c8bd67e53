//! hearth-fn-accounts
