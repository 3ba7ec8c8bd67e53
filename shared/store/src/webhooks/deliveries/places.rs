//! Places of an endpoint: of the processes that share the table, a few send to one endpoint at a time, so that a slow one doesn't
//! take the time of all of them.

use std::time::Duration;

use hearth_domain::{JobId, OrganisationId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Deliveries, VERSION};
use crate::{
    StoreError,
    database::{Condition, Item, Key, Query, Sort, Write},
};

/// A place that a job has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    job: JobId,
    until: Timestamp,
}

impl Deliveries<'_> {
    /// Takes one of `count` places of an endpoint for a job, which has it for `ttl`; the job's own place is taken again. Returns
    /// false if other jobs have all of them.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn take_place(
        &self,
        (organisation, endpoint): (OrganisationId, u32),
        job: JobId,
        count: u32,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let partition = partition(organisation, endpoint);
        let items = self.0.query(Query::partition(partition.clone(), Sort::All)).await?;
        let mut taken = Vec::with_capacity(items.len());
        for item in &items {
            taken.push((item.key.sk.clone(), item.read::<Place>()?));
        }
        let now = Timestamp::now();
        let place_of = |name: &str| taken.iter().find(|(other, _)| other == name).map(|(_, place)| place);
        let own = taken.iter().find(|(_, place)| place.job == job).map(|(name, _)| name.clone());
        for name in own.into_iter().chain((0..count).map(|number| number.to_string())) {
            let condition = match place_of(&name) {
                None => Condition::Absent,
                Some(place) if place.job == job || place.until <= now => {
                    Condition::AttributeEquals("until", place.until.to_string())
                }
                Some(_) => continue,
            };
            let until = now.plus(ttl);
            let item = Item::new(Key::new(partition.clone(), name), VERSION, &Place { job, until })?;
            match self.0.put(item.expiring(until.unix()), condition).await {
                Ok(()) => return Ok(true),
                // Another job was faster.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Gives up the place of a job, if it has one.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn release_place(
        &self,
        (organisation, endpoint): (OrganisationId, u32),
        job: JobId,
    ) -> Result<(), StoreError> {
        let partition = partition(organisation, endpoint);
        for item in self.0.query(Query::partition(partition, Sort::All)).await? {
            if item.read::<Place>()?.job != job {
                continue;
            }
            let is_own = Condition::AttributeEquals("job", job.to_string());
            match self.0.write_in_order(vec![Write::Delete(item.key, is_own)]).await {
                // Its time was over, and another job has it.
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn partition(organisation: OrganisationId, endpoint: u32) -> String {
    format!("HOOKPLACE#{organisation}#{endpoint:08x}")
}
