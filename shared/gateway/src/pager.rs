//! Pages of lists: their limits, their signed cursors, and their entries that a filter selects.

use std::str::FromStr;

use hearth_domain::Owner;
use hearth_store::StoreError;
use hearth_wire::ApiError;

use crate::{error, keys::GatewayKeys};

/// Entries of a page whose request has no limit.
const DEFAULT_PAGE_COUNT: u32 = 50;
/// Largest limit of most lists.
pub(crate) const PAGE_MAX_COUNT: u32 = 200;
/// Entries that are read for one page, so that a rare filter can't read a whole list.
const READ_MAX_COUNT: u32 = 2000;

/// The pages of a list of a caller, for whom alone its cursors are valid.
#[derive(Debug)]
pub(crate) struct Pager<'k> {
    keys: &'k GatewayKeys,
    /// The caller, and the list with its filter.
    context: String,
    /// The maximum number of entries of a page.
    pub(crate) limit: u32,
}

impl<'k> Pager<'k> {
    /// The pages of `list`, which names the list and its filter, with `limit` entries of [`PAGE_MAX_COUNT`] at most.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit.
    pub(crate) fn new(
        keys: &'k GatewayKeys,
        owner: Owner,
        list: &str,
        limit: Option<u32>,
    ) -> Result<Self, ApiError> {
        Self::with_max(keys, owner, list, limit, PAGE_MAX_COUNT)
    }

    /// The pages of `list`, with `limit` entries of `max` at most.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit.
    pub(crate) fn with_max(
        keys: &'k GatewayKeys,
        owner: Owner,
        list: &str,
        limit: Option<u32>,
        max: u32,
    ) -> Result<Self, ApiError> {
        let context = format!("{}|{}|{list}", owner.user, owner.organisation);
        Ok(Self { keys, context, limit: check_limit(limit, DEFAULT_PAGE_COUNT, max)? })
    }

    /// The position in a cursor; none without a cursor.
    ///
    /// # Errors
    /// `invalid_request` if it isn't a cursor of this list.
    pub(crate) async fn open<T: FromStr>(&self, cursor: Option<&str>) -> Result<Option<T>, ApiError> {
        self.open_with(cursor, |position| position.parse().ok()).await
    }

    /// The position in a cursor, as `parse` reads it; none without a cursor.
    ///
    /// # Errors
    /// As [`Pager::open`].
    pub(crate) async fn open_with<T>(
        &self,
        cursor: Option<&str>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(cursor) = cursor else { return Ok(None) };
        let position = self.keys.get().await?.open_cursor(&self.context, cursor);
        position.as_deref().and_then(parse).map(Some).ok_or_else(bad_cursor)
    }

    /// The cursor of the page behind a position, if there is one.
    ///
    /// # Errors
    /// `internal` if the gateway's secret can't be read.
    pub(crate) async fn seal(&self, position: Option<impl ToString>) -> Result<Option<String>, ApiError> {
        let Some(position) = position else { return Ok(None) };
        Ok(Some(self.keys.get().await?.seal_cursor(&self.context, &position.to_string())))
    }
}

/// Reads a list behind the position `after` until `limit` of its entries are selected. Returns these, and the position of the last
/// entry that was read, if more may follow.
///
/// `read` returns a page of the list behind a position, and whether more follow; `select` returns none for an entry to leave out.
///
/// # Errors
/// `internal` if the store fails.
pub(crate) async fn select_page<R, T, P, F>(
    limit: u32,
    mut after: Option<P>,
    read: impl Fn(Option<P>, u32) -> F,
    position: impl Fn(&R) -> P,
    select: impl Fn(R) -> Option<T>,
) -> Result<(Vec<T>, Option<P>), ApiError>
where
    P: Copy,
    F: Future<Output = Result<(Vec<R>, bool), StoreError>>,
{
    let (mut selected, mut read_count) = (Vec::new(), 0);
    loop {
        let (entries, has_more) = read(after, limit).await.map_err(error::store)?;
        read_count += limit;
        for entry in entries {
            if selected.len() == limit as usize {
                return Ok((selected, after));
            }
            after = Some(position(&entry));
            selected.extend(select(entry));
        }
        if !has_more {
            return Ok((selected, None));
        }
        if read_count >= READ_MAX_COUNT {
            return Ok((selected, after));
        }
    }
}

/// The limit of a page; `default` where the request has none.
///
/// # Errors
/// `invalid_request` for 0, and for more than `max`.
pub(crate) fn check_limit(limit: Option<u32>, default: u32, max: u32) -> Result<u32, ApiError> {
    let limit = limit.unwrap_or(default);
    if (1..=max).contains(&limit) {
        return Ok(limit);
    }
    Err(ApiError::invalid("limit", format!("limit must be 1 to {max}")))
}

/// The error of a cursor of another list, or with a position that the list doesn't have.
pub(crate) fn bad_cursor() -> ApiError {
    ApiError::invalid("cursor", "the cursor isn't one of this list; begin without a cursor")
}

#[cfg(test)]
mod tests {
    use hearth_domain::{OrganisationId, UserId};

    use super::*;

    #[test]
    fn limit_has_a_default_and_bounds() {
        assert_eq!(check_limit(None, 20, 100).unwrap(), 20);
        assert_eq!(check_limit(Some(100), 20, 100).unwrap(), 100);
        for limit in [0, 101] {
            let error = check_limit(Some(limit), 20, 100).unwrap_err();
            assert_eq!((error.param.as_deref(), &*error.message), (Some("limit"), "limit must be 1 to 100"));
        }
    }

    #[tokio::test]
    async fn page_has_the_selected_entries_up_to_its_limit() {
        let page = async |limit: u32, after: Option<u32>, count: u32, every: u32| {
            let read = |after: Option<u32>, limit: u32| async move {
                let first = after.map_or(0, |after| after + 1);
                let last = (first + limit).min(count);
                Ok(((first..last).collect::<Vec<u32>>(), last < count))
            };
            let select = |number: u32| number.is_multiple_of(every).then_some(number);
            select_page(limit, after, read, |number| *number, select).await.unwrap()
        };
        assert_eq!(page(3, None, 0, 1).await, (vec![], None));
        assert_eq!(page(3, None, 3, 1).await, (vec![0, 1, 2], None));
        assert_eq!(page(3, None, 4, 1).await, (vec![0, 1, 2], Some(2)));
        assert_eq!(page(3, Some(2), 4, 1).await, (vec![3], None));
        // The position is that of the last entry that was read, whether it is selected or not.
        assert_eq!(page(3, None, 9, 2).await, (vec![0, 2, 4], Some(4)));
        assert_eq!(page(2, None, 5, 4).await, (vec![0, 4], None));
        // A rare filter reads so many entries at most.
        assert_eq!(page(100, None, 10_000, 10_000).await, (vec![0], Some(READ_MAX_COUNT - 1)));
    }

    #[tokio::test]
    async fn cursor_is_valid_for_its_list_and_its_caller() {
        let keys = GatewayKeys::example();
        let owner = Owner { user: UserId::new(), organisation: OrganisationId::new() };
        let pager = Pager::new(&keys, owner, "models|text", Some(10)).unwrap();
        let cursor = pager.seal(Some(7)).await.unwrap();
        assert_eq!(pager.open::<u32>(cursor.as_deref()).await.unwrap(), Some(7));
        assert_eq!(pager.open::<u32>(None).await.unwrap(), None);
        assert_eq!(pager.seal(None::<u32>).await.unwrap(), None);
        let other_owner = Owner { user: UserId::new(), ..owner };
        for (owner, list) in [(owner, "models|image"), (other_owner, "models|text")] {
            let other = Pager::new(&keys, owner, list, None).unwrap();
            let error = other.open::<u32>(cursor.as_deref()).await.unwrap_err();
            assert_eq!(error.param.as_deref(), Some("cursor"));
        }
        let text = pager.seal(Some("x")).await.unwrap();
        assert!(pager.open::<u32>(text.as_deref()).await.is_err());
    }
}
