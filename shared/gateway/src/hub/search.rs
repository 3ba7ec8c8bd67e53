//! Search of the hub.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use hearth_domain::Secret;
use hearth_wire::{
    ApiError,
    native::hub::{HubModel, HubModelFile, HubQuery, HubSearch, HubSort},
};
use reqwest::header::LINK;
use url::Url;

use super::{
    Hub,
    answer::{RepositoryInfo, Sibling, task_of},
    fit::{memory_fit, quantisation},
    read_json,
};
use crate::{access::Caller, pager::check_limit};

const DEFAULT_PAGE_COUNT: u32 = 10;
const PAGE_MAX_COUNT: u32 = 50;
/// Characters of the words, and of an owner.
const WORDS_MAX_CHARS: usize = 200;
/// Repositories whose files are read at the same time.
const CONCURRENT_DETAILS: usize = 8;
/// Tags of a model in a list.
const TAGS_MAX_COUNT: usize = 30;
/// Files of a model in a list.
const FILES_MAX_COUNT: usize = 100;

impl Hub {
    pub(super) async fn search(&self, caller: &Caller, query: HubQuery) -> Result<HubSearch, ApiError> {
        let limit = check_limit(query.limit, DEFAULT_PAGE_COUNT, PAGE_MAX_COUNT)?;
        for (name, text) in [("query", &query.query), ("author", &query.author)] {
            if text.as_ref().is_some_and(|text| text.chars().count() > WORDS_MAX_CHARS) {
                let message = format!("{name} must have at most {WORDS_MAX_CHARS} characters");
                return Err(ApiError::invalid(name, message));
            }
        }
        let parameters = parameters(&query, limit);
        let context = format!("{}|{}|hub|{parameters:?}", caller.user, caller.organisation);
        let keys = self.keys.get().await?;
        let position = match &query.cursor {
            Some(cursor) => {
                let message = "the cursor isn't one of this search; begin without a cursor";
                let position = keys.open_cursor(&context, cursor);
                Some(position.ok_or_else(|| ApiError::invalid("cursor", message))?)
            }
            None => None,
        };
        let mut pairs: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        pairs.extend(position.as_deref().map(|position| ("cursor", position)));
        let token = self.token_for(caller);
        let response = self.get("api/models", &pairs, token).await?;
        let next = response.headers().get(LINK).and_then(|link| next_cursor(link.to_str().ok()?));
        let listed: Vec<RepositoryInfo> = read_json(response).await?;
        let memory_bytes = self.nodes.managed_memory(caller).await;
        let models = stream::iter(listed).map(|listed| self.with_files(listed, token));
        let models: Vec<RepositoryInfo> = models.buffered(CONCURRENT_DETAILS).collect().await;
        Ok(HubSearch {
            models: models.into_iter().map(|info| model_of(info, memory_bytes)).collect(),
            memory_bytes,
            next_cursor: next.map(|next| keys.seal_cursor(&context, &next)),
        })
    }

    /// The repository with the sizes of its files, which lists lack; as listed if the hub doesn't answer.
    async fn with_files(&self, listed: RepositoryInfo, token: Option<&Secret>) -> RepositoryInfo {
        let path = format!("api/models/{}", listed.id);
        match self.get_json::<RepositoryInfo>(&path, &[("blobs", "true")], token).await {
            Ok(info) if info.id == listed.id => info,
            _ => listed,
        }
    }
}

/// The parameters of the hub's list.
fn parameters(query: &HubQuery, limit: u32) -> Vec<(&'static str, String)> {
    let sort = match query.sort.unwrap_or_default() {
        HubSort::Downloads => "downloads",
        HubSort::Likes => "likes",
        HubSort::Updated => "lastModified",
    };
    let mut parameters =
        vec![("limit", limit.to_string()), ("sort", sort.to_owned()), ("direction", "-1".to_owned())];
    parameters.push(("full", "true".to_owned()));
    if !query.all.unwrap_or(false) {
        parameters.push(("filter", "gguf".to_owned()));
    }
    let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    parameters.extend(text(&query.query).map(|words| ("search", words)));
    parameters.extend(text(&query.author).map(|author| ("author", author)));
    parameters.extend(query.modality.and_then(task_of).map(|task| ("pipeline_tag", task.to_owned())));
    parameters
}

/// The cursor in a `link` header with the address of the next page.
fn next_cursor(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let url = Url::parse(next.trim().strip_prefix('<')?.split('>').next()?).ok()?;
    url.query_pairs().find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor.into_owned())
}

fn model_of(info: RepositoryInfo, memory: Option<u64>) -> HubModel {
    let (author, name) = info.id.split_once('/').unwrap_or(("", &info.id));
    HubModel {
        name: name.to_owned(),
        author: author.to_owned(),
        task: info.pipeline_tag.clone(),
        modality: info.modality(),
        license: info.license(),
        gated: info.is_gated(),
        downloads: info.downloads,
        likes: info.likes,
        updated_at: info.last_modified.clone(),
        parameters: info.parameters(),
        context_length: info.context_length(),
        architecture: info.architecture(),
        source: format!("hf:{}", info.id),
        files: files_of(&info.id, &info.siblings, memory),
        tags: info.tags.iter().take(TAGS_MAX_COUNT).cloned().collect(),
        id: info.id,
    }
}

/// The GGUF files, the parts of a split model as one.
fn files_of(id: &str, siblings: &[Sibling], memory: Option<u64>) -> Vec<HubModelFile> {
    let mut files: BTreeMap<String, HubModelFile> = BTreeMap::new();
    for sibling in siblings.iter().filter(|sibling| sibling.rfilename.ends_with(".gguf")) {
        let name = &sibling.rfilename;
        let size = sibling.size.or(sibling.lfs.as_ref().map(|lfs| lfs.size));
        let first = first_part(name).unwrap_or_else(|| name.clone());
        let file = files.entry(first.clone()).or_insert_with(|| HubModelFile {
            source: format!("hf:{id}/{first}"),
            quantisation: quantisation(&first),
            name: first,
            size_bytes: Some(0),
            parts: 0,
            fit: None,
        });
        file.parts += 1;
        file.size_bytes = file.size_bytes.zip(size).map(|(sum, size)| sum.saturating_add(size));
    }
    let mut files: Vec<HubModelFile> = files.into_values().take(FILES_MAX_COUNT).collect();
    for file in &mut files {
        file.fit = file.size_bytes.zip(memory).map(|(size, memory)| memory_fit(size, memory));
    }
    files.sort_by(|a, b| (a.size_bytes, &a.name).cmp(&(b.size_bytes, &b.name)));
    files
}

/// The name of the first part of the split model that a part belongs to.
fn first_part(name: &str) -> Option<String> {
    let (rest, total) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(number) && is_number(total)).then(|| format!("{stem}-00001-of-{total}.gguf"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_page_is_read_from_the_link() {
        let link = "<https://huggingface.co/api/models?filter=gguf&limit=2&cursor=eyJfaWQi%3D>; rel=\"next\"";
        assert_eq!(next_cursor(link).as_deref(), Some("eyJfaWQi="));
        assert_eq!(next_cursor("<https://huggingface.co/api/models?cursor=a>; rel=\"prev\""), None);
        assert_eq!(next_cursor("garbage"), None);
    }

    #[test]
    fn parts_of_a_split_model_are_one_file() {
        let sibling = |name: &str, size| Sibling { rfilename: name.to_owned(), size, lfs: None };
        let siblings = [
            sibling("README.md", Some(1)),
            sibling("m-F16-00001-of-00002.gguf", Some(40)),
            sibling("m-F16-00002-of-00002.gguf", Some(2)),
            sibling("m-Q4_0.gguf", Some(10)),
            sibling("m-Q8_0.gguf", None),
        ];
        let files = files_of("a/m", &siblings, Some(1 << 40));
        let listed: Vec<_> =
            files.iter().map(|file| (file.name.as_str(), file.size_bytes, file.parts)).collect();
        let expected = [
            ("m-Q8_0.gguf", None, 1),
            ("m-Q4_0.gguf", Some(10), 1),
            ("m-F16-00001-of-00002.gguf", Some(42), 2),
        ];
        assert_eq!(listed, expected);
        assert_eq!(files[1].source, "hf:a/m/m-Q4_0.gguf");
        assert!(files[0].fit.is_none() && files[1].fit.is_some());
    }
}
