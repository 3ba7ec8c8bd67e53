//! The models of nodes, as each node reported them last.

use hearth_domain::{Modality, Model, ModelId, OrganisationId};

use crate::{
    StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort, Update},
};

const VERSION: u32 = 1;

/// Every modality, in the order of the lists.
const MODALITIES: [Modality; 4] = [Modality::Text, Modality::Embedding, Modality::Image, Modality::ThreeD];

/// The models of an organisation's nodes. Another organisation may have a model of the same id.
#[derive(Debug, Clone, Copy)]
pub struct Models<'a> {
    pub(crate) table: &'a Table,
    /// None for the operator's, whose keys are those of before there were organisations.
    pub(crate) organisation: Option<OrganisationId>,
}

impl Models<'_> {
    /// Stores a model that a node has found in its folder.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put_discovered(&self, model: &Model) -> Result<(), StoreError> {
        let item = Item::new(self.key(&model.id), VERSION, model)?;
        let item = item.in_gsi1(self.partition(model.description.modality), model.id.as_str());
        self.table.put(item, Condition::Always).await
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
        self.table.update(self.key(&model.id), update).await
    }

    /// The models of `modality`, or all of them. They are sorted by modality and then by id.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn list(&self, modality: Option<Modality>) -> Result<Vec<Model>, StoreError> {
        let mut models = Vec::new();
        for modality in modality.map_or_else(|| MODALITIES.to_vec(), |m| vec![m]) {
            let query = Query::of(Index::Gsi1, self.partition(modality), Sort::All);
            for item in self.table.query(query).await? {
                models.push(item.read()?);
            }
        }
        Ok(models)
    }

    fn key(&self, id: &ModelId) -> Key {
        let pk = match self.organisation {
            None => format!("MODEL#{id}"),
            Some(organisation) => format!("ORGMODEL#{organisation}#{id}"),
        };
        Key::new(pk, META)
    }

    /// The partition of a modality in the index.
    fn partition(&self, modality: Modality) -> String {
        match self.organisation {
            None => format!("MODALITY#{}", modality.as_str()),
            Some(organisation) => format!("ORGMODALITY#{organisation}#{}", modality.as_str()),
        }
    }
}
