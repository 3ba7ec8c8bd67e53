//! The model registry.

use hearth_domain::{Modality, Model, ModelId, ModelSource};
use serde::Serialize;

use crate::{
    StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort, Update},
};

const VERSION: u32 = 1;

/// Every modality, in the order that lists have.
const MODALITIES: [Modality; 4] = [Modality::Text, Modality::Embedding, Modality::Image, Modality::ThreeD];

/// The field that marks an entry as made by a person.
const REGISTERED: &str = "registered";

/// An entry that a person made, as stored.
#[derive(Serialize)]
struct Registered<'a> {
    #[serde(flatten)]
    model: &'a Model,
    registered: &'static str,
}

/// The models.
#[derive(Debug, Clone, Copy)]
pub struct Models<'a>(pub(crate) &'a Table);

impl Models<'_> {
    /// One model.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: &ModelId) -> Result<Option<Model>, StoreError> {
        self.0.get(&key(id)).await
    }

    /// Puts what a node found in its folder. An entry that a person made stays as it is.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put_discovered(&self, model: &Model) -> Result<(), StoreError> {
        let item = Item::new(key(&model.id), VERSION, model)?;
        let item = item.in_gsi1(partition(model.modality), model.id.as_str());
        match self.0.put(item, Condition::AttributeAbsent(REGISTERED)).await {
            Err(StoreError::Conflict) => Ok(()),
            other => other,
        }
    }

    /// Takes a model that is gone from its node out of the lists. An entry that a person made stays.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn forget_discovered(&self, model: &Model) -> Result<(), StoreError> {
        if model.source == ModelSource::Registered {
            return Ok(());
        }
        let update = Update {
            set: vec![("node", serde_json::Value::Null)],
            leave: vec![Index::Gsi1],
            ..Update::default()
        };
        self.0.update(key(&model.id), update).await
    }

    /// Every model, or those of one modality, by id within each modality.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn list(&self, modality: Option<Modality>) -> Result<Vec<Model>, StoreError> {
        let mut models = Vec::new();
        for modality in modality.map_or_else(|| MODALITIES.to_vec(), |m| vec![m]) {
            let query = Query::of(Index::Gsi1, partition(modality), Sort::All);
            for item in self.0.query(query).await? {
                models.push(item.read()?);
            }
        }
        Ok(models)
    }

    /// Marks an entry as made by a person.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put_registered(&self, model: &Model) -> Result<(), StoreError> {
        let item = Item::new(key(&model.id), VERSION, &Registered { model, registered: "yes" })?;
        let item = item.in_gsi1(partition(model.modality), model.id.as_str());
        self.0.put(item, Condition::Always).await
    }
}

fn key(id: &ModelId) -> Key {
    Key::new(format!("MODEL#{id}"), META)
}

fn partition(modality: Modality) -> String {
    format!("MODALITY#{}", modality.as_str())
}
