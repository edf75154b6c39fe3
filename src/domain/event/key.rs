use crate::domain::{Invalid, event::check_name};

/// (`source`, `id`): unique per account, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventKey {
    /// Who reported; often empty.
    pub source: String,
    /// The producer's id.
    pub id: String,
}

impl EventKey {
    pub(crate) fn new(source: String, id: String) -> Result<Self, Invalid> {
        check_name(&id, "invalid_id", "an id")?;
        if !source.is_empty() {
            check_name(&source, "invalid_source", "a source")?;
        }
        Ok(Self { source, id })
    }
}
