//! Lists of definitions and of their versions, and differences of two versions.

use hearth_domain::{DefinitionKind, SemanticVersion, VersionSelector, Visibility};
use hearth_store::definitions::{DefinitionRecord, DefinitionScope};
use hearth_wire::{
    ApiError, ErrorCode,
    native::{
        definitions::{
            DefinitionEntry, DefinitionList, DefinitionQuery, DiffBody, DiffQuery, VersionBody, VersionList,
        },
        organisations::PageQuery,
    },
};
use serde_json::{Value, json};

use super::{
    Definitions,
    access::{may_see, scopes},
    body::{built_in_entry, compatibility_body, stored_entry, version_body},
    built_in,
    compatibility::compare,
    diff::differences,
    resolve::{Definition, parse},
};
use crate::{
    access::Caller,
    error,
    pager::{PAGE_MAX_COUNT, Pager, bad_cursor, check_limit},
};

/// Definitions that one page reads at most. A filter that few pass gets short pages.
const READ_MAX_COUNT: usize = 1_000;
/// Limit of the characters of a search.
const SEARCH_MAX_CHARS: usize = 100;

/// A part of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListPart {
    Stored(DefinitionScope),
    BuiltIn,
}

impl ListPart {
    /// The name in a cursor.
    fn name(self) -> String {
        match self {
            Self::Stored(DefinitionScope::User(_)) => "user".to_owned(),
            Self::Stored(DefinitionScope::Team(_, team)) => team.to_string(),
            Self::Stored(DefinitionScope::Organisation(_)) => "organisation".to_owned(),
            Self::Stored(DefinitionScope::Public) => "public".to_owned(),
            Self::BuiltIn => "built_in".to_owned(),
        }
    }
}

impl Definitions {
    /// A page of the definitions that the caller may see.
    ///
    /// # Errors
    /// `invalid_request` for a bad filter, limit or cursor.
    #[crate::boxed_future]
    pub async fn list(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        query: &DefinitionQuery,
    ) -> Result<DefinitionList, ApiError> {
        let filter = Filter::new(query)?;
        let list = format!("definitions|{}", kind.as_str());
        let pager = Pager::new(&self.keys, caller.owner(), &list, query.limit)?;
        let limit = pager.limit as usize;
        let position: Option<String> = pager.open(query.cursor.as_deref()).await?;
        let (first, mut after) = match &position {
            None => (None, None),
            Some(position) => {
                let (part, after) = position.split_once('|').ok_or_else(bad_cursor)?;
                (Some(part), Some(after.to_owned()).filter(|after| !after.is_empty()))
            }
        };
        let parts = filter.parts(caller);
        let skipped = match first {
            None => 0,
            Some(first) => parts.iter().position(|part| part.name() == first).ok_or_else(bad_cursor)?,
        };
        let (mut entries, mut read) = (Vec::new(), 0);
        for part in &parts[skipped..] {
            loop {
                let (page, next) = self.part_page(caller, kind, *part, after.as_deref()).await?;
                for (position, entry) in page {
                    if entries.len() >= limit || read >= READ_MAX_COUNT {
                        let cursor = format!("{}|{}", part.name(), after.unwrap_or_default());
                        return Ok(DefinitionList {
                            data: entries,
                            next_cursor: pager.seal(Some(cursor)).await?,
                        });
                    }
                    read += 1;
                    after = Some(position);
                    entries.extend(entry.filter(|entry| filter.selects(entry)));
                }
                if !next {
                    break;
                }
            }
            after = None;
        }
        Ok(DefinitionList { data: entries, next_cursor: None })
    }

    /// Entries of a part behind a position, each with its own position, and whether more may follow. An entry that the caller
    /// doesn't see in this part is none.
    async fn part_page(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        part: ListPart,
        after: Option<&str>,
    ) -> Result<(Vec<(String, Option<DefinitionEntry>)>, bool), ApiError> {
        let scope = match part {
            ListPart::Stored(scope) => scope,
            ListPart::BuiltIn => {
                let behind = built_in::all(kind).filter(|one| after.is_none_or(|after| one.name > after));
                let entries = behind.map(|one| (one.name.to_owned(), Some(built_in_entry(one))));
                return Ok((entries.collect(), false));
            }
        };
        let page = self.store.definitions().page(kind, scope, after, PAGE_MAX_COUNT).await;
        let page = page.map_err(error::store)?;
        let has_more = page.next.is_some();
        let entry = |record: &DefinitionRecord| {
            // The caller's organisation lists its public ones itself.
            let is_foreign = scope != DefinitionScope::Public || record.organisation != caller.organisation;
            (is_foreign && may_see(caller, record)).then(|| stored_entry(caller, record))
        };
        let position = |record: &DefinitionRecord| match scope {
            DefinitionScope::Public => format!("{}#{}", record.name, record.id),
            _ => record.name.clone(),
        };
        let entries = page.definitions.iter().map(|record| (position(record), entry(record)));
        Ok((entries.collect(), has_more))
    }

    /// A page of the versions of a definition, the latest first.
    ///
    /// # Errors
    /// `not_found`; `invalid_request` for a bad limit or cursor.
    #[crate::boxed_future]
    pub async fn versions(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        reference: &str,
        query: &PageQuery,
    ) -> Result<VersionList, ApiError> {
        // A built-in one has a page alone.
        check_limit(query.limit, PAGE_MAX_COUNT, PAGE_MAX_COUNT)?;
        let record = match self.definition(caller, kind, reference).await? {
            Definition::BuiltIn(built_in) => {
                let version = VersionBody {
                    version: built_in.version,
                    labels: Vec::new(),
                    message: None,
                    author: None,
                    sha256: built_in.sha256.clone(),
                    created_at: None,
                };
                return Ok(VersionList { data: vec![version], next_cursor: None });
            }
            Definition::Stored(record) => record,
        };
        let pager = Pager::new(&self.keys, caller.owner(), &format!("versions|{}", record.id), query.limit)?;
        let before: Option<SemanticVersion> = pager.open(query.cursor.as_deref()).await?;
        let page = self.store.definitions().versions(record.id, before, pager.limit).await;
        let (versions, has_more) = page.map_err(error::store)?;
        let last = versions.last().filter(|_| has_more);
        let next_cursor = pager.seal(last.map(|last| last.version)).await?;
        let data = versions.into_iter().map(|version| version_body(caller, &record, version)).collect();
        Ok(VersionList { data, next_cursor })
    }

    /// The differences of two versions of a definition.
    ///
    /// # Errors
    /// `not_found`; `invalid_request` for a bad version; `conflict` if there is no earlier version.
    #[crate::boxed_future]
    pub async fn diff(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        reference: &str,
        query: &DiffQuery,
    ) -> Result<DiffBody, ApiError> {
        let definition = self.definition(caller, kind, reference).await?;
        let to = self.version_of(&definition, query.to.as_deref(), "to").await?;
        let from = match (&query.from, &definition) {
            (Some(from), _) => self.version_of(&definition, Some(from), "from").await?,
            (None, Definition::Stored(record)) => {
                let page = self.store.definitions().versions(record.id, Some(to), 1).await;
                let (versions, _) = page.map_err(error::store)?;
                versions.first().map(|version| version.version).ok_or_else(|| no_earlier(to))?
            }
            (None, Definition::BuiltIn(_)) => return Err(no_earlier(to)),
        };
        let before = self.load(definition.clone(), from).await?.content;
        let after = self.load(definition, to).await?.content;
        let compared = tokio::task::spawn_blocking(move || {
            let (differences, truncated) = differences(&before.to_json(), &after.to_json());
            let compatibility = compatibility_body(compare(&before, &after), None, None);
            DiffBody { from, to, differences, truncated, compatibility }
        });
        compared.await.map_err(|error| error::internal(&error))
    }

    /// The definition that a reference of a path leads to.
    pub(super) async fn definition(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        reference: &str,
    ) -> Result<Definition, ApiError> {
        let reference = parse(kind, reference, "id")?;
        self.find(caller, kind, &reference.subject).await
    }

    /// The version that the field `param` selects; the latest if it is absent.
    pub(super) async fn version_of(
        &self,
        definition: &Definition,
        text: Option<&str>,
        param: &str,
    ) -> Result<SemanticVersion, ApiError> {
        let Some(text) = text else { return Ok(definition.latest()) };
        let selector: VersionSelector = text.parse().map_err(|_| {
            ApiError::invalid(param, format!("{param} must be a version such as 1.2.0, or a label"))
        })?;
        self.select(definition, &selector).await.map_err(|error| error.at(param))
    }

    /// The lines of an export of a user's definition: one for each version.
    ///
    /// # Errors
    /// If the store can't be read.
    pub(crate) async fn export_lines(&self, record: &DefinitionRecord) -> Result<Vec<Value>, ApiError> {
        let store = self.store.definitions();
        let (mut lines, mut before) = (Vec::new(), None);
        loop {
            let page = store.versions(record.id, before, PAGE_MAX_COUNT).await;
            let (versions, has_more) = page.map_err(error::store)?;
            before = versions.last().map(|version| version.version);
            for version in versions {
                let content = store.content(record.id, version.version).await.map_err(error::store)?;
                let content: Value =
                    content.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
                lines.push(json!({
                    "id": record.id, "kind": record.id.kind(), "name": record.name, "description": record.description,
                    "tags": record.tags, "visibility": record.visibility, "organisation": record.organisation,
                    "team": record.team, "labels": record.labels, "version": version.version,
                    "message": version.message, "created_at": version.created_at, "content": content,
                }));
            }
            if !has_more {
                return Ok(lines);
            }
        }
    }
}

/// The filter of a list.
struct Filter {
    text: Option<String>,
    tags: Vec<String>,
    visibility: Option<Visibility>,
    built_in: Option<bool>,
}

impl Filter {
    fn new(query: &DefinitionQuery) -> Result<Self, ApiError> {
        let text = query.q.as_deref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
        if text.as_ref().is_some_and(|text| text.chars().count() > SEARCH_MAX_CHARS) {
            return Err(ApiError::invalid("q", format!("q must have at most {SEARCH_MAX_CHARS} characters")));
        }
        let tags = query.tag.as_deref().unwrap_or_default().split(',').map(str::trim);
        let tags = tags.filter(|tag| !tag.is_empty()).map(str::to_lowercase).collect();
        Ok(Self { text, tags, visibility: query.visibility, built_in: query.built_in })
    }

    /// The parts of the list in which the filter may select entries.
    fn parts(&self, caller: &Caller) -> Vec<ListPart> {
        let mut parts: Vec<_> = scopes(caller).into_iter().map(ListPart::Stored).collect();
        parts.push(ListPart::Stored(DefinitionScope::Public));
        parts.push(ListPart::BuiltIn);
        let fits = |part: &ListPart| {
            let is_built_in = *part == ListPart::BuiltIn;
            let visible = match (self.visibility, part) {
                (None, _) => true,
                (Some(Visibility::Private), part) => {
                    matches!(part, ListPart::Stored(DefinitionScope::User(_)))
                }
                (Some(Visibility::Team), part) => matches!(part, ListPart::Stored(DefinitionScope::Team(..))),
                (Some(Visibility::Organisation), part) => {
                    matches!(part, ListPart::Stored(DefinitionScope::Organisation(_)))
                }
                (Some(Visibility::Public), part) => {
                    !matches!(part, ListPart::Stored(DefinitionScope::User(_) | DefinitionScope::Team(..)))
                }
            };
            visible && self.built_in.is_none_or(|built_in| built_in == is_built_in)
        };
        parts.retain(fits);
        parts
    }

    fn selects(&self, entry: &DefinitionEntry) -> bool {
        let has_text = |text: &str| {
            let description = entry.description.as_deref().unwrap_or_default().to_lowercase();
            entry.name.contains(text) || description.contains(text)
        };
        self.text.as_deref().is_none_or(has_text)
            && self.tags.iter().all(|tag| entry.tags.iter().any(|of_entry| of_entry.to_lowercase() == *tag))
            && self.visibility.is_none_or(|visibility| entry.visibility == visibility)
    }
}

fn no_earlier(version: SemanticVersion) -> ApiError {
    let message = format!("there is no version before {version} to compare it with; name one in from");
    ApiError::new(ErrorCode::Conflict, message).at("from")
}

#[cfg(test)]
mod tests {
    use hearth_domain::TeamId;

    use super::*;

    #[test]
    fn parts_follow_from_the_filter() {
        let team = TeamId::new();
        let caller = Caller { teams: std::sync::Arc::from([team]), ..Caller::example() };
        let names = |query: DefinitionQuery| -> Vec<String> {
            Filter::new(&query).unwrap().parts(&caller).into_iter().map(ListPart::name).collect()
        };
        let all = ["user", &team.to_string(), "organisation", "public", "built_in"].map(str::to_owned);
        assert_eq!(names(DefinitionQuery::default()), all);
        let visible =
            |visibility| DefinitionQuery { visibility: Some(visibility), ..DefinitionQuery::default() };
        assert_eq!(names(visible(Visibility::Private)), ["user"]);
        assert_eq!(names(visible(Visibility::Public)), ["organisation", "public", "built_in"]);
        let built_in = |built_in| DefinitionQuery { built_in: Some(built_in), ..DefinitionQuery::default() };
        assert_eq!(names(built_in(true)), ["built_in"]);
        assert_eq!(names(built_in(false)).len(), 4);
    }

    #[test]
    fn filter_selects_by_text_and_tags() {
        let entry = built_in_entry(built_in::named(DefinitionKind::Schema, "invoice").unwrap());
        let selects = |q: &str, tag: &str| {
            let query = DefinitionQuery {
                q: Some(q.to_owned()),
                tag: Some(tag.to_owned()),
                ..DefinitionQuery::default()
            };
            Filter::new(&query).unwrap().selects(&entry)
        };
        assert!(selects("", "") && selects("INVO", "finance") && selects("totals", "Finance, extraction"));
        assert!(!selects("letter", "") && !selects("invoice", "finance,support"));
        assert!(
            Filter::new(&DefinitionQuery { q: Some("x".repeat(101)), ..DefinitionQuery::default() }).is_err()
        );
    }
}
