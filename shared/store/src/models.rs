//! The models of nodes, as each node reported them last.

use hearth_domain::{Modality, Model, ModelId};

use crate::{
    StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort, Update},
};

const VERSION: u32 = 1;

/// Every modality, in the order of the lists.
const MODALITIES: [Modality; 4] = [Modality::Text, Modality::Embedding, Modality::Image, Modality::ThreeD];

/// The models.
#[derive(Debug, Clone, Copy)]
pub struct Models<'a>(pub(crate) &'a Table);

impl Models<'_> {
    /// Stores a model that a node has found in its folder.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put_discovered(&self, model: &Model) -> Result<(), StoreError> {
        let item = Item::new(key(&model.id), VERSION, model)?;
        let item = item.in_gsi1(partition(model.description.modality), model.id.as_str());
        self.0.put(item, Condition::Always).await
    }

    /// Removes a model from the lists, since it is gone from its node.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn forget_discovered(&self, model: &Model) -> Result<(), StoreError> {
        let update = Update {
            set: vec![("node", serde_json::Value::Null)],
            leave: vec![Index::Gsi1],
            ..Update::default()
        };
        self.0.update(key(&model.id), update).await
    }

    /// The models of `modality`, or all of them. They are sorted by modality and then by id.
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
}

fn key(id: &ModelId) -> Key {
    Key::new(format!("MODEL#{id}"), META)
}

fn partition(modality: Modality) -> String {
    format!("MODALITY#{}", modality.as_str())
}
