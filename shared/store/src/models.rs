//! The model registry.

use hearth_domain::{Modality, Model, ModelId, ModelSource};

use crate::{
    StoreError, Table,
    item::{Item, Key, META, read, text},
    table::{Change, Query, Sort},
};

const VERSION: u32 = 1;

/// Every modality, in the order that lists have.
const MODALITIES: [Modality; 4] = [Modality::Text, Modality::Embedding, Modality::Image, Modality::ThreeD];

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
        let item = Item::new(&key(&model.id), VERSION, model)?;
        let item = item.indexed("gsi1", &partition(model.modality), model.id.as_str());
        // `source` is a reserved word, which a put's condition can't rename here: a registered entry
        // carries a marker of its own.
        match self.0.put(item, Some("attribute_not_exists(pk) OR attribute_not_exists(registered)")).await {
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
        let change = Change {
            expression: "REMOVE gsi1pk, gsi1sk SET node = :none",
            condition: "attribute_exists(pk)",
            names: &[],
            values: vec![(":none", aws_sdk_dynamodb::types::AttributeValue::Null(true))],
        };
        self.0.change(&key(&model.id), change).await
    }

    /// Every model, or those of one modality, by id within each modality.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn list(&self, modality: Option<Modality>) -> Result<Vec<Model>, StoreError> {
        let mut models = Vec::new();
        for modality in modality.map_or_else(|| MODALITIES.to_vec(), |m| vec![m]) {
            let query = Query { index: Some("gsi1"), pk: partition(modality), sort: Sort::All };
            for item in self.0.query(&query).await? {
                models.push(read(item)?);
            }
        }
        Ok(models)
    }

    /// Marks an entry as made by a person.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put_registered(&self, model: &Model) -> Result<(), StoreError> {
        let item = Item::new(&key(&model.id), VERSION, model)?;
        let item = item
            .indexed("gsi1", &partition(model.modality), model.id.as_str())
            .with("registered", text("yes"));
        self.0.put(item, None).await
    }
}

fn key(id: &ModelId) -> Key {
    Key::new(format!("MODEL#{id}"), META)
}

fn partition(modality: Modality) -> String {
    format!("MODALITY#{}", modality.as_str())
}
