//! The header of a file with one network, as safetensors or GGUF.

use std::{collections::BTreeMap, path::Path};

use super::SafetensorsHeader;
use crate::gguf::GgufHeader;

/// The header of a file with one network.
#[derive(Debug, Clone)]
pub enum PartHeader {
    /// A safetensors file.
    Safetensors(SafetensorsHeader),
    /// A GGUF file.
    Gguf(GgufHeader),
}

impl PartHeader {
    /// Reads and checks the header of the file at `path`, by its extension.
    ///
    /// # Errors
    /// The reason why it can't be used.
    pub fn read(path: &Path) -> Result<Self, String> {
        let is_gguf = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        match is_gguf {
            true => GgufHeader::read(path).map(Self::Gguf).map_err(|error| error.to_string()),
            false => SafetensorsHeader::read(path).map(Self::Safetensors).map_err(|error| error.to_string()),
        }
    }

    /// The dimensions of a tensor, the outermost first; `None` if the file doesn't have it.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<Vec<u64>> {
        match self {
            Self::Safetensors(header) => {
                header.tensors.get(name).map(|tensor| tensor.shape.iter().map(|side| *side as u64).collect())
            }
            Self::Gguf(header) => header.tensors.get(name).map(|tensor| tensor.shape.clone()),
        }
    }

    /// Returns whether the file is GGUF.
    #[must_use]
    pub fn is_gguf(&self) -> bool {
        matches!(self, Self::Gguf(_))
    }

    /// Number of weights.
    #[must_use]
    pub fn weights(&self) -> u64 {
        match self {
            Self::Safetensors(header) => header.weights(),
            Self::Gguf(header) => sum(header.tensors.values().map(|tensor| tensor.weights)),
        }
    }

    /// Bytes of the weights in memory: those that are quantised as in the file, the others `number_bytes` each.
    #[must_use]
    pub fn memory_bytes(&self, number_bytes: u64) -> u64 {
        match self {
            Self::Safetensors(header) => header.weights().saturating_mul(number_bytes),
            Self::Gguf(header) => sum(header.tensors.values().map(|tensor| {
                let stored = tensor.bytes.filter(|_| !is_plain(tensor.type_name()));
                stored.unwrap_or_else(|| tensor.weights.saturating_mul(number_bytes))
            })),
        }
    }

    /// The type of most weights.
    #[must_use]
    pub fn precision(&self) -> Option<String> {
        match self {
            Self::Safetensors(header) => header.precision().map(str::to_owned),
            Self::Gguf(header) => {
                let mut weights: BTreeMap<&str, u64> = BTreeMap::new();
                for tensor in header.tensors.values() {
                    let sum = weights.entry(tensor.type_name().unwrap_or_default()).or_default();
                    *sum = sum.saturating_add(tensor.weights);
                }
                weights.into_iter().max_by_key(|(_, weights)| *weights).map(|(kind, _)| kind.to_owned())
            }
        }
    }

    /// Returns whether the file has weights of 8 bits with a factor for each tensor, as ComfyUI writes them.
    pub(super) fn has_scaled_weights(&self) -> bool {
        let is_factor = |name: &String| {
            name.ends_with(".scale_weight") || name.ends_with(".weight_scale") || name == "scaled_fp8"
        };
        matches!(self, Self::Safetensors(header) if header.tensors.keys().any(is_factor))
    }

    /// A type of GGUF tensors that isn't in `readable`, if a tensor has one.
    pub(super) fn unreadable_type(&self, readable: &[&str]) -> Option<String> {
        let Self::Gguf(header) = self else { return None };
        let mut kinds = header.tensors.values();
        let tensor = kinds.find(|tensor| !tensor.type_name().is_some_and(|name| readable.contains(&name)))?;
        Some(tensor.type_name().map_or_else(|| format!("{} of GGUF", tensor.kind), str::to_owned))
    }
}

/// Returns whether a type has a number for each weight.
fn is_plain(type_name: Option<&str>) -> bool {
    type_name.is_some_and(|name| ["F32", "F16", "BF16"].contains(&name))
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}
