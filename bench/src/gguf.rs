//! Writes model files: GGUF, version 3, as `docs/gguf.md` of ggml describes it.

use std::io::{self, Write};

const ALIGNMENT: u64 = 32;

/// A value of the metadata.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    I32s(Vec<i32>),
    Texts(Vec<String>),
}

/// Storage type of a tensor's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    F32,
    /// Blocks of 32 weights: a scale in half precision, and 4 bits for each.
    Q4_0,
}

/// A tensor to write.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The length of a row, then how many rows; the first is a multiple of 32 for [`Kind::Q4_0`].
    pub(crate) dimensions: Vec<u64>,
}

/// Weights of a Q4_0 block.
pub(crate) const BLOCK: u64 = 32;
/// Bytes of a Q4_0 block.
pub(crate) const BLOCK_BYTES: u64 = 18;

impl Tensor {
    pub(crate) fn bytes(&self) -> u64 {
        let weights: u64 = self.dimensions.iter().product();
        match self.kind {
            Kind::F32 => weights * 4,
            Kind::Q4_0 => weights / BLOCK * BLOCK_BYTES,
        }
    }
}

/// Writes a whole file. `weights` gives each tensor's bytes, in the order of `tensors`.
pub(crate) fn write(
    out: &mut impl Write,
    metadata: &[(&str, Value)],
    tensors: &[Tensor],
    mut weights: impl FnMut(&Tensor) -> Vec<u8>,
) -> io::Result<()> {
    let header = header(metadata, tensors)?;
    out.write_all(&header)?;
    pad(out, header.len() as u64)?;
    for tensor in tensors {
        let bytes = weights(tensor);
        if bytes.len() as u64 != tensor.bytes() {
            return Err(io::Error::other(format!("{} has {} bytes", tensor.name, bytes.len())));
        }
        out.write_all(&bytes)?;
        pad(out, tensor.bytes())?;
    }
    Ok(())
}

fn header(metadata: &[(&str, Value)], tensors: &[Tensor]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    out.write_all(b"GGUF")?;
    out.write_all(&3_u32.to_le_bytes())?;
    out.write_all(&(tensors.len() as u64).to_le_bytes())?;
    out.write_all(&(metadata.len() as u64).to_le_bytes())?;
    for (key, value) in metadata {
        text(&mut out, key)?;
        self::value(&mut out, value)?;
    }
    let mut offset = 0_u64;
    for tensor in tensors {
        text(&mut out, &tensor.name)?;
        out.write_all(&(tensor.dimensions.len() as u32).to_le_bytes())?;
        for length in &tensor.dimensions {
            out.write_all(&length.to_le_bytes())?;
        }
        let kind: u32 = match tensor.kind {
            Kind::F32 => 0,
            Kind::Q4_0 => 2,
        };
        out.write_all(&kind.to_le_bytes())?;
        out.write_all(&offset.to_le_bytes())?;
        offset = (offset + tensor.bytes()).next_multiple_of(ALIGNMENT);
    }
    Ok(out)
}

fn value(out: &mut Vec<u8>, value: &Value) -> io::Result<()> {
    const I32: u32 = 5;
    const TEXT: u32 = 8;
    const ARRAY: u32 = 9;
    let kind: u32 = match value {
        Value::U32(_) => 4,
        Value::F32(_) => 6,
        Value::Bool(_) => 7,
        Value::Text(_) => TEXT,
        Value::I32s(_) | Value::Texts(_) => ARRAY,
    };
    out.write_all(&kind.to_le_bytes())?;
    match value {
        Value::U32(number) => out.write_all(&number.to_le_bytes()),
        Value::F32(number) => out.write_all(&number.to_le_bytes()),
        Value::Bool(yes) => out.write_all(&[u8::from(*yes)]),
        Value::Text(value) => text(out, value),
        Value::I32s(numbers) => {
            array(out, I32, numbers.len())?;
            numbers.iter().try_for_each(|number| out.write_all(&number.to_le_bytes()))
        }
        Value::Texts(texts) => {
            array(out, TEXT, texts.len())?;
            texts.iter().try_for_each(|each| text(out, each))
        }
    }
}

fn array(out: &mut Vec<u8>, kind: u32, length: usize) -> io::Result<()> {
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&(length as u64).to_le_bytes())
}

fn text(out: &mut Vec<u8>, text: &str) -> io::Result<()> {
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(text.as_bytes())
}

/// Fills up what has `written` bytes so far.
fn pad(out: &mut impl Write, written: u64) -> io::Result<()> {
    let missing = written.next_multiple_of(ALIGNMENT) - written;
    out.write_all(&[0; ALIGNMENT as usize][..missing as usize])
}

#[cfg(test)]
mod tests {
    use hearth_node::gguf::Header;

    use super::*;

    fn tensor(name: &str, kind: Kind, dimensions: &[u64]) -> Tensor {
        Tensor { name: name.to_owned(), kind, dimensions: dimensions.to_vec() }
    }

    #[test]
    fn written_metadata_is_read_back() {
        let metadata = [
            ("general.architecture", Value::Text("llama".to_owned())),
            ("general.name", Value::Text("little".to_owned())),
            ("llama.context_length", Value::U32(4096)),
            ("llama.rope.freq_base", Value::F32(10_000.0)),
            ("tokenizer.ggml.tokens", Value::Texts(vec!["a".to_owned(), "é".to_owned()])),
            ("tokenizer.ggml.token_type", Value::I32s(vec![1, -1])),
            ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
            ("tokenizer.chat_template", Value::Text("{{ messages }}".to_owned())),
        ];
        let tensors = [
            tensor("norm", Kind::F32, &[3]),
            tensor("a", Kind::Q4_0, &[64, 3]),
            tensor("b", Kind::Q4_0, &[32]),
        ];
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write(&mut file, &metadata, &tensors, |tensor| vec![7; tensor.bytes() as usize]).unwrap();

        let header = Header::read(file.path()).unwrap();
        assert_eq!(header.architecture(), Some("llama"));
        assert_eq!(header.name(), Some("little"));
        assert_eq!(header.context_length(), Some(4096));
        assert_eq!(header.chat_template(), Some("{{ messages }}"));
        assert_eq!(header.quantisation(), Some("Q4_0"));
        // Three tensors, each filled up: 12 to 32 bytes, 108 to 128, 18 to 32.
        let (size, weights) = (header.file_size(), 32 + 128 + 32);
        assert_eq!((size - weights) % ALIGNMENT, 0);
        assert!(size > weights);
    }

    #[test]
    fn weights_of_another_size_are_refused() {
        let tensors = [tensor("norm", Kind::F32, &[3])];
        assert!(write(&mut Vec::new(), &[], &tensors, |_| vec![0; 11]).is_err());
    }
}
