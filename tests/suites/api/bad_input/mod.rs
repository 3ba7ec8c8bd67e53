//! Bad input on every route: bodies, fields, ids and queries.
//!
//! The operations are those of the OpenAPI document that the gateway serves, with the example of each body, so that a new route is in
//! the table by itself. Each has a caller of its own. What a user would notice is checked: an error in the dialect's format with a
//! documented code, a message in plain words that names the field, no crash, no hang, and nothing that was created by a refused request.

mod answers;
mod bodies;
mod fields;
mod ids;
mod oversize;
mod queries;
mod raw;
mod slow;
mod table;
