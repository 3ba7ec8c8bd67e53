//! Reports of usage: the stored sums, grouped by some of their dimensions.

use std::{collections::BTreeMap, sync::Arc};

use hearth_domain::{Action, Cost, Period, Timestamp};
use hearth_store::usage::{UsageCounts, UsageKey, UsageRow};
use hearth_wire::{
    ApiError,
    native::usage::{UsageBody, UsageQuery, UsageScope, UsageSums},
};

use super::Limiter;
use crate::{access::Caller, error};

/// Limit of the days of a report.
const DAYS_MAX_COUNT: i64 = 366;
const DAY_SECONDS: i64 = 24 * 3600;
/// Dimensions, in the order of a row's names.
const DIMENSIONS: [&str; 6] = ["day", "model", "provider", "token", "user", "team"];

/// Usage as callers see it.
#[derive(Debug, Clone, Copy)]
pub struct UsageAccess<'a>(pub(crate) &'a Arc<Limiter>);

impl UsageAccess<'_> {
    /// Sums of the caller's usage, or of everybody's in the caller's organisation.
    ///
    /// # Errors
    /// `invalid_request` for a bad dimension or day; `forbidden` for everybody's, if the caller may not read it; `internal` if the
    /// store fails.
    #[crate::boxed_future]
    pub async fn report(&self, caller: &Caller, query: &UsageQuery) -> Result<UsageBody, ApiError> {
        if query.of == UsageScope::Organisation {
            caller.require(Action::ReadOrganisationUsage)?;
        }
        let by = dimensions(query.by.as_deref())?;
        let days = Days::new(query, Timestamp::now())?;
        let user = (query.of == UsageScope::Me).then_some(caller.user);
        // What this process has collected.
        self.0.flush().await;
        let mut rows = Vec::new();
        for month in days.months() {
            let store = self.0.store.usage();
            rows.extend(store.of(caller.organisation, &month, user).await.map_err(error::store)?);
        }
        rows.retain(|row| days.contains(&row.key.day));
        Ok(sum_up(&rows, by, days))
    }
}

/// The days of a report, both included.
struct Days {
    from: String,
    to: String,
    first: i64,
    last: i64,
}

impl Days {
    fn new(query: &UsageQuery, now: Timestamp) -> Result<Self, ApiError> {
        let to = query.to.clone().unwrap_or_else(|| Period::Day.name_at(now));
        let last = day_number("to", &to)?;
        let from = query.from.clone().unwrap_or_else(|| format!("{}-01", to.get(..7).unwrap_or_default()));
        let first = day_number("from", &from)?;
        if first > last {
            return Err(ApiError::invalid("from", "from must not be after to"));
        }
        if last - first >= DAYS_MAX_COUNT {
            return Err(ApiError::invalid("from", "a report has 366 days at most; choose a later from"));
        }
        Ok(Self { from, to, first, last })
    }

    fn months(&self) -> Vec<String> {
        let days = (self.first..=self.last).map(|day| Timestamp::from_unix(day * DAY_SECONDS));
        let mut months: Vec<String> = days.map(|day| Period::Month.name_at(day)).collect();
        months.dedup();
        months
    }

    fn contains(&self, day: &str) -> bool {
        (self.from.as_str()..=self.to.as_str()).contains(&day)
    }
}

/// The number of a day since 1970.
fn day_number(param: &'static str, day: &str) -> Result<i64, ApiError> {
    let at = format!("{day}T00:00:00.000Z").parse::<Timestamp>().ok();
    at.filter(|at| Period::Day.name_at(*at) == day)
        .map(|at| at.unix().div_euclid(DAY_SECONDS))
        .ok_or_else(|| ApiError::invalid(param, format!("{param} must be a day such as 2026-11-29")))
}

/// The dimensions that a query names, each once.
fn dimensions(by: Option<&str>) -> Result<Vec<&'static str>, ApiError> {
    let mut dimensions = Vec::new();
    for name in by.unwrap_or("day").split(',').map(str::trim) {
        let dimension = DIMENSIONS.into_iter().find(|dimension| *dimension == name).ok_or_else(|| {
            ApiError::invalid(
                "by",
                format!("by must be some of {}, separated by commas", DIMENSIONS.join(", ")),
            )
        })?;
        if !dimensions.contains(&dimension) {
            dimensions.push(dimension);
        }
    }
    Ok(dimensions)
}

fn value<'a>(key: &'a UsageKey, dimension: &str, user: &'a str) -> &'a str {
    match dimension {
        "day" => &key.day,
        "model" => &key.model,
        "provider" => &key.provider,
        "token" => &key.credential,
        "user" => user,
        _ => &key.team,
    }
}

fn sum_up(rows: &[UsageRow], by: Vec<&'static str>, days: Days) -> UsageBody {
    let (mut groups, mut total) = (BTreeMap::<Vec<String>, UsageCounts>::new(), UsageCounts::default());
    for row in rows {
        let user = row.key.user.to_string();
        let group = by.iter().map(|dimension| value(&row.key, dimension, &user).to_owned()).collect();
        groups.entry(group).or_default().add(&row.counts);
        total.add(&row.counts);
    }
    let data = groups.into_iter().map(|(group, counts)| {
        let mut sums = sums(&counts);
        for (dimension, value) in by.iter().zip(group) {
            let field = match *dimension {
                "day" => &mut sums.day,
                "model" => &mut sums.model,
                "provider" => &mut sums.provider,
                "token" => &mut sums.token,
                "user" => &mut sums.user,
                _ => &mut sums.team,
            };
            *field = Some(value);
        }
        sums
    });
    let data = data.collect();
    let Days { from, to, .. } = days;
    UsageBody { from, to, by: by.into_iter().map(str::to_owned).collect(), data, total: sums(&total) }
}

fn sums(counts: &UsageCounts) -> UsageSums {
    UsageSums {
        requests: counts.requests,
        cache_hits: counts.cache_hits,
        prompt_tokens: counts.prompt_tokens,
        cached_tokens: counts.cached_tokens,
        cache_write_tokens: counts.cache_write_tokens,
        completion_tokens: counts.completion_tokens,
        reasoning_tokens: counts.reasoning_tokens,
        cost: Cost::from_nanodollars(u64::try_from(counts.nanodollars).unwrap_or_default()).to_string(),
        unpriced_requests: counts.unpriced_requests,
        ..UsageSums::default()
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{OrganisationId, UserId};

    use super::*;

    fn query(by: &str, from: &str, to: &str) -> UsageQuery {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        UsageQuery { by: text(by), from: text(from), to: text(to), ..UsageQuery::default() }
    }

    #[test]
    fn days_are_checked_and_span_months() {
        let now = "2026-11-29T10:00:00.000Z".parse().unwrap();
        let months = |from, to| Days::new(&query("", from, to), now).map(|days| days.months());
        assert_eq!(months("", "").unwrap(), ["2026-11"]);
        assert_eq!(months("2026-09-30", "2026-11-01").unwrap(), ["2026-09", "2026-10", "2026-11"]);
        for (from, to, param) in [
            ("2026-11-30", "2026-11-29", "from"),
            ("2025-11-28", "2026-11-29", "from"),
            ("yesterday", "", "from"),
            ("", "2026-02-30", "to"),
            ("", "2026-1-1", "to"),
        ] {
            assert_eq!(months(from, to).unwrap_err().param.as_deref(), Some(param), "{from} {to}");
        }
        assert!(dimensions(Some("day,colour")).is_err());
        assert_eq!(dimensions(Some("model, day,model")).unwrap(), ["model", "day"]);
    }

    #[test]
    fn rows_are_grouped_in_the_order_of_the_dimensions() {
        let row = |day: &str, model: &str, nanodollars| UsageRow {
            key: UsageKey {
                organisation: OrganisationId::new(),
                day: day.to_owned(),
                user: UserId::new(),
                credential: "tok_1".to_owned(),
                team: String::new(),
                provider: "p".to_owned(),
                model: model.to_owned(),
            },
            counts: UsageCounts { requests: 1, nanodollars, ..UsageCounts::default() },
        };
        let rows = [row("2026-11-02", "a", 1), row("2026-11-01", "b", 2), row("2026-11-02", "b", 4)];
        let now = "2026-11-29T10:00:00.000Z".parse().unwrap();
        let days = Days::new(&query("", "", ""), now).unwrap();
        let body = sum_up(&rows, vec!["model"], days);
        let costs: Vec<_> =
            body.data.iter().map(|sums| (sums.model.as_deref().unwrap(), sums.cost.as_str())).collect();
        assert_eq!(costs, [("a", "0.000000001"), ("b", "0.000000006")]);
        assert_eq!((body.total.requests, body.total.cost.as_str()), (3, "0.000000007"));
        assert_eq!(body.data[0].day, None);
    }
}
