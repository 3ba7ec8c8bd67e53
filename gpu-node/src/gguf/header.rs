//! A header's facts.

use std::{collections::HashMap, fs::File, io::BufReader, path::Path};

use super::{
    GgufError,
    reader::{Reader, Value},
    tensor,
};

/// No model has more tensors or metadata.
const MAX_ENTRIES: u64 = 1 << 20;
/// ggml's own limit.
const MAX_DIMENSIONS: u32 = 4;

/// What a model file says of itself.
#[derive(Debug, Clone)]
pub struct Header {
    metadata: HashMap<String, Value>,
    /// The type with the most weights: the file's quantisation.
    quantisation: Option<&'static str>,
    file_size: u64,
}

impl Header {
    /// Reads and checks the header of the file at `path`.
    ///
    /// # Errors
    /// If it can't be read, isn't GGUF, is truncated, or contradicts itself.
    pub fn read(path: &Path) -> Result<Self, GgufError> {
        let file = File::open(path)?;
        let file_size = file.metadata()?.len();
        let mut reader = Reader::new(BufReader::with_capacity(1 << 16, file), file_size);
        let magic = reader.bytes::<4>()?;
        if &magic != b"GGUF" {
            return Err(GgufError::NotGguf(String::from_utf8_lossy(&magic).into_owned()));
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version(version));
        }
        let (tensors, entries) = (reader.u64()?, reader.u64()?);
        if tensors > MAX_ENTRIES || entries > MAX_ENTRIES {
            return Err(GgufError::Corrupt(format!("{tensors} tensors and {entries} metadata entries")));
        }
        let mut metadata = HashMap::new();
        for _ in 0..entries {
            let key = reader.text()?;
            let kind = reader.u32()?;
            metadata.insert(key, reader.value(kind)?);
        }
        let extents = Extents::read(&mut reader, tensors)?;
        let header = Self { metadata, quantisation: extents.commonest(), file_size };
        header.check_size(reader.position, extents.end)?;
        Ok(header)
    }

    /// The architecture, such as `llama`.
    #[must_use]
    pub fn architecture(&self) -> Option<&str> {
        self.text("general.architecture")
    }

    /// The makers' name for the model.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.text("general.name")
    }

    /// The quantisation of most of its weights, such as `Q4_K`.
    #[must_use]
    pub fn quantisation(&self) -> Option<&'static str> {
        self.quantisation
    }

    /// The context that the model was made for, in tokens.
    #[must_use]
    pub fn context_length(&self) -> Option<u32> {
        let key = format!("{}.context_length", self.architecture()?);
        match self.metadata.get(&key)? {
            Value::Unsigned(n) => u32::try_from(*n).ok(),
            Value::Signed(n) => u32::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The model's own chat template, in Jinja.
    #[must_use]
    pub fn chat_template(&self) -> Option<&str> {
        self.text("tokenizer.chat_template")
    }

    /// Whether the model makes vectors rather than text.
    #[must_use]
    pub fn is_embedding(&self) -> bool {
        self.architecture().is_some_and(|a| self.metadata.contains_key(&format!("{a}.pooling_type")))
    }

    /// The file's size in bytes.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn check_size(&self, header_end: u64, tensors_end: u64) -> Result<(), GgufError> {
        let alignment = match self.metadata.get("general.alignment") {
            Some(Value::Unsigned(n)) if n.is_power_of_two() => *n,
            Some(_) => return Err(GgufError::Corrupt("an alignment that is no power of two".to_owned())),
            None => 32,
        };
        let needed = header_end.next_multiple_of(alignment).saturating_add(tensors_end);
        if self.file_size < needed {
            return Err(GgufError::Truncated { actual: self.file_size, needed });
        }
        Ok(())
    }
}

/// Where the tensors lie, and of which types they are.
struct Extents {
    /// The end of the last one, counted from the first one's start.
    end: u64,
    weights: HashMap<&'static str, u64>,
}

impl Extents {
    fn read(reader: &mut Reader<impl std::io::Read>, tensors: u64) -> Result<Self, GgufError> {
        let mut extents = Self { end: 0, weights: HashMap::new() };
        for _ in 0..tensors {
            extents.add(reader)?;
        }
        Ok(extents)
    }

    fn add(&mut self, reader: &mut Reader<impl std::io::Read>) -> Result<(), GgufError> {
        let name = reader.text()?;
        let dimensions = reader.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(GgufError::Corrupt(format!("tensor {name:?} has {dimensions} dimensions")));
        }
        let mut weights: u64 = 1;
        for _ in 0..dimensions {
            weights = weights
                .checked_mul(reader.u64()?)
                .ok_or_else(|| GgufError::Corrupt(format!("tensor {name:?} is larger than any file")))?;
        }
        let (kind, offset) = (reader.u32()?, reader.u64()?);
        let size = tensor::bytes(kind, weights).unwrap_or(0);
        let end = offset
            .checked_add(size)
            .ok_or_else(|| GgufError::Corrupt(format!("tensor {name:?} ends outside of any file")))?;
        self.end = self.end.max(end);
        if let Some((kind, ..)) = tensor::block(kind) {
            *self.weights.entry(kind).or_default() += weights;
        }
        Ok(())
    }

    fn commonest(&self) -> Option<&'static str> {
        self.weights.iter().max_by_key(|(_, weights)| **weights).map(|(kind, _)| *kind)
    }
}
