//! Sessions: conversations of several turns, which the gateway stores.
//!
//! - `turn`: carries out a turn; `turn_lease`: the order of the turns; `turn_input`: the prompt of a turn, of the messages in
//!   `history` that fit by `context` and `token_count`, or of their `summary`; `turn_client`, `turn_recorder`: the way of its events.
//! - `earlier_turn`: the turn that is generated again; `pending`: ends the answers of dead processes; `title`: the title.
//! - `conversation`, `conversation_items`: OpenAI's conversations over the same store.
//! - `management`: sessions created, listed, changed, closed; `messages`, `branches`: what is in them; `pages`: their lists;
//!   `search`, `export`, `import`; `body`: sessions as the API returns them; `sweep`: deletes closed sessions in the end.

mod body;
mod branch_end;
mod branches;
mod context;
mod conversation;
mod conversation_items;
mod earlier_turn;
mod export;
mod history;
mod import;
mod management;
mod messages;
pub(crate) mod pending;
mod search;
mod summary;
mod sweep;
mod title;
mod token_count;
mod turn;
mod turn_client;
mod turn_input;
pub(crate) mod turn_lease;
mod turn_recorder;

pub use earlier_turn::EarlierTurn;
pub use turn::{TurnRequest, TurnSource};
