//! The dimensions of the transformer, by the shapes of its tensors.

use super::part_file::PartFile;

/// Limit of a dimension: more than any model has.
const DIMENSION_MAX: usize = 1 << 17;
/// Limit of the number of blocks of a kind.
const BLOCKS_MAX_COUNT: usize = 256;
/// A head's numbers are a multiple of this: an eighth of them is for the picture's index, and two times seven sixteenths for
/// the row and the column, in pairs.
const HEAD_STEP: usize = 32;

/// The dimensions of a transformer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransformerSettings {
    /// Prefix of the tensors' names.
    pub(crate) prefix: String,
    /// Numbers of a patch: 2 x 2 latents.
    pub(crate) patch: usize,
    /// Numbers of a token of T5.
    pub(crate) context: usize,
    /// Numbers of the text as one vector, by CLIP.
    pub(crate) pooled: usize,
    /// Numbers of a token between the blocks.
    pub(crate) width: usize,
    /// Inner numbers of a feed-forward layer.
    pub(crate) inner: usize,
    /// Numbers of an attention head.
    pub(crate) head: usize,
    /// Sines and cosines of the time.
    pub(crate) time: usize,
    /// Blocks with weights of their own for text and picture.
    pub(crate) double_blocks: usize,
    /// Blocks with the same weights for both.
    pub(crate) single_blocks: usize,
    /// The guidance is an input.
    pub(crate) is_guided: bool,
}

impl TransformerSettings {
    /// By the shapes of the tensors of `file`, whose names begin with `prefix`.
    ///
    /// # Errors
    /// The reason why they can't be used.
    pub(crate) fn of(file: &PartFile, prefix: &str) -> Result<Self, String> {
        let dimension = |name: &str, index| file.dimension(&format!("{prefix}{name}"), index);
        let has = |name: &str| file.shape(&format!("{prefix}{name}")).is_some();
        let count =
            |name: fn(usize) -> String| (0..=BLOCKS_MAX_COUNT).take_while(|index| has(&name(*index))).count();
        let settings = Self {
            prefix: prefix.to_owned(),
            patch: dimension("img_in.weight", 1)?,
            context: dimension("txt_in.weight", 1)?,
            pooled: dimension("vector_in.in_layer.weight", 1)?,
            width: dimension("img_in.weight", 0)?,
            inner: dimension("double_blocks.0.img_mlp.0.weight", 0)?,
            head: dimension("double_blocks.0.img_attn.norm.query_norm.scale", 0)?,
            time: dimension("time_in.in_layer.weight", 1)?,
            double_blocks: count(|index| format!("double_blocks.{index}.img_mod.lin.weight")),
            single_blocks: count(|index| format!("single_blocks.{index}.modulation.lin.weight")),
            is_guided: has("guidance_in.in_layer.weight"),
        };
        settings.check()
    }

    fn check(self) -> Result<Self, String> {
        let numbers = [self.patch, self.context, self.pooled, self.width, self.inner, self.head, self.time];
        if let Some(number) = numbers.into_iter().find(|number| !(1..=DIMENSION_MAX).contains(number)) {
            return Err(format!("its transformer has a dimension of {number}"));
        }
        for blocks in [self.double_blocks, self.single_blocks] {
            if !(1..=BLOCKS_MAX_COUNT).contains(&blocks) {
                return Err(format!("its transformer has {blocks} blocks of a kind"));
            }
        }
        if !self.head.is_multiple_of(HEAD_STEP) || !self.width.is_multiple_of(self.head) {
            return Err(format!(
                "its transformer has a width of {} and heads of {} numbers, which don't fit",
                self.width, self.head
            ));
        }
        if !self.patch.is_multiple_of(4) || !self.time.is_multiple_of(2) {
            return Err("its transformer has an input that is no patch of latents".to_owned());
        }
        Ok(self)
    }

    /// Number of attention heads.
    pub(crate) fn heads(&self) -> usize {
        self.width / self.head
    }

    /// The numbers of a head that are for each axis: the picture's index, the row, the column. FLUX.1 has 16, 56 and 56 of 128.
    pub(crate) fn axes(&self) -> [usize; 3] {
        [self.head / 8, self.head / 16 * 7, self.head / 16 * 7]
    }
}
