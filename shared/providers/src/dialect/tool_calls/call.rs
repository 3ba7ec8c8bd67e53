//! A streamed tool call, and its pieces.

use hearth_wire::json_scanner::JsonScanner;

/// A piece of a call in a frame. Empty texts count as missing.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Piece {
    /// The provider's number of the call, or of its block.
    pub(in crate::dialect) index: Option<u32>,
    pub(in crate::dialect) id: Option<String>,
    pub(in crate::dialect) name: Option<String>,
    /// The next part of the arguments' JSON.
    pub(in crate::dialect) arguments: String,
}

/// A call of an answer, as far as it has arrived.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) index: Option<u32>,
    /// The provider's own id.
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    /// The number of the call among the emitted ones.
    pub(super) number: Option<u32>,
    pub(super) scanner: JsonScanner,
    /// Arguments that arrived before the name.
    pub(super) buffered: String,
    /// Detects a call that is sent again as a whole.
    arguments: ArgumentsDigest,
}

/// The length and a hash of a call's arguments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ArgumentsDigest {
    bytes: usize,
    hash: u64,
}

impl Piece {
    /// Returns whether it is in the middle of arguments.
    pub(super) fn is_continuation(&self) -> bool {
        !self.arguments.is_empty() && !self.arguments.trim_start().starts_with('{')
    }
}

impl Call {
    /// A call of which nothing has arrived.
    pub(super) fn with_index(index: Option<u32>) -> Self {
        Self { index, ..Self::default() }
    }

    /// Adds a piece of the call.
    pub(super) fn add(&mut self, piece: &Piece) {
        self.index = self.index.or(piece.index);
        // An emitted call keeps its id: the client has it.
        if self.id.is_none() && self.number.is_none() {
            self.id.clone_from(&piece.id);
        }
        if self.name.is_none() {
            self.name.clone_from(&piece.name);
        }
        self.scanner.push(piece.arguments.as_bytes());
        self.arguments = self.arguments.and(piece.arguments.as_bytes());
    }

    /// Returns whether the arguments have begun and are incomplete.
    pub(super) fn is_unfinished(&self) -> bool {
        self.scanner.has_begun() && !self.scanner.is_complete()
    }

    /// Returns whether the call is complete and the piece has other arguments, so that it belongs to another call.
    pub(super) fn is_followed_by(&self, piece: &Piece) -> bool {
        self.scanner.is_complete() && !piece.arguments.trim().is_empty() && !self.is_sent_again(piece)
    }

    /// Returns whether the piece is the whole call again, as some servers send it at the end.
    pub(super) fn is_sent_again(&self, piece: &Piece) -> bool {
        let same_id = self.id.is_some() && self.id == piece.id;
        let digest = ArgumentsDigest::default().and(piece.arguments.as_bytes());
        same_id && self.scanner.is_complete() && self.arguments == digest
    }
}

impl ArgumentsDigest {
    /// Adds bytes: FNV-1a (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>).
    fn and(self, bytes: &[u8]) -> Self {
        let basis = if self.bytes == 0 { 0xcbf2_9ce4_8422_2325 } else { self.hash };
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = bytes.iter().fold(basis, step);
        Self { bytes: self.bytes + bytes.len(), hash: if self.bytes + bytes.len() == 0 { 0 } else { hash } }
    }
}
