use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::domain::{
    Account, Amount, Event, EventKey, EventTime, Invalid, Kind, Reverses, event::check_symbol,
    event::too_large,
};

/// An event with valid fields. Only the ledger can still refuse it.
#[derive(Debug, Clone)]
pub(crate) struct CheckedEvent {
    pub(crate) account: Account,
    pub(crate) key: EventKey,
    pub(crate) kind: Kind,
    /// `None` for a reversal, which takes it from its original.
    pub(crate) amount: Option<Amount>,
    /// Empty for a reversal, like `unit`.
    pub(crate) meter: String,
    pub(crate) unit: String,
    pub(crate) category: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) time: Option<EventTime>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) reverses: Option<EventKey>,
    pub(crate) fingerprint: [u8; 16],
}

impl Event {
    /// Checks every field that can be checked without the ledger.
    ///
    /// # Errors
    /// Each bound and each rule has its own code.
    pub(crate) fn check(self) -> Result<CheckedEvent, Invalid> {
        CheckedEvent::new(self)
    }
}

impl CheckedEvent {
    fn new(event: Event) -> Result<Self, Invalid> {
        let account = Account::parse(&event.account)?;
        let key = EventKey::new(event.source, event.id)?;
        if key.source == Event::SOURCE_RESERVED {
            let message = "the source `tallycast` is reserved for alerts; name your own service";
            return Err(Invalid::new("reserved_source", message));
        }
        let kind = match event.kind.as_deref() {
            None | Some("consumption") => Kind::Consumption,
            Some("adjustment") => Kind::Adjustment,
            Some("reversal") => Kind::Reversal,
            Some(_) => {
                let message = "a kind is `consumption`, `adjustment` or `reversal`";
                return Err(Invalid::new("invalid_kind", message));
            }
        };
        let mut checked = Self {
            account,
            kind,
            amount: event.amount.as_deref().map(str::parse).transpose()?,
            meter: event.meter.unwrap_or_default(),
            unit: event.unit.unwrap_or_default(),
            category: event.category.filter(|text| !text.is_empty()),
            description: event.description.filter(|text| !text.is_empty()),
            time: event.time.as_deref().map(EventTime::parse).transpose()?,
            attributes: event.attributes,
            reverses: reversed_key(event.reverses, &key)?,
            key,
            fingerprint: [0; 16],
        };
        match kind {
            Kind::Reversal => checked.check_reversal()?,
            _ => checked.check_counted()?,
        }
        checked.check_texts()?;
        checked.fingerprint = checked.content_fingerprint();
        Ok(checked)
    }

    /// Roughly how much memory it takes, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        const ATTRIBUTE_BYTES: usize = 80;
        let texts = [&self.key.id, &self.key.source, &self.meter, &self.unit].into_iter();
        let texts = texts.chain(&self.category).chain(&self.description);
        let attributes = self
            .attributes
            .iter()
            .map(|(n, v)| ATTRIBUTE_BYTES + n.len() + v.len());
        size_of::<Self>() + texts.map(String::len).sum::<usize>() + attributes.sum::<usize>()
    }

    fn check_counted(&mut self) -> Result<(), Invalid> {
        if self.reverses.is_some() {
            let message = "only an event of kind `reversal` has `reverses`";
            return Err(Invalid::new("unexpected_reverses", message));
        }
        let Some(amount) = self.amount else {
            let message = "an amount is missing: give a decimal string such as \"12.50\"";
            return Err(Invalid::new("missing_amount", message));
        };
        if self.kind == Kind::Consumption && amount.is_negative() {
            let message = "consumption is not negative: send a reversal or an adjustment";
            return Err(Invalid::new("negative_amount", message));
        }
        if self.kind == Kind::Adjustment && self.description.is_none() {
            let message = "an adjustment needs a description that gives the reason";
            return Err(Invalid::new("missing_description", message));
        }
        if self.unit.is_empty() {
            let message = "a unit is missing: an ISO 4217 code or a unit name such as kWh";
            return Err(Invalid::new("missing_unit", message));
        }
        if self.meter.is_empty() {
            "spend".clone_into(&mut self.meter);
        }
        check_symbol(&self.unit, Event::UNIT_CHARS_MAX, "invalid_unit", "a unit")?;
        check_symbol(
            &self.meter,
            Event::METER_CHARS_MAX,
            "invalid_meter",
            "a meter",
        )
    }

    fn check_reversal(&self) -> Result<(), Invalid> {
        if self.reverses.is_none() {
            let message = "a reversal needs `reverses`: the id of the event it takes back";
            return Err(Invalid::new("missing_reverses", message));
        }
        if self.reverses.as_ref() == Some(&self.key) {
            let message = "a reversal is an event of its own: give it another id";
            return Err(Invalid::new("reverses_itself", message));
        }
        let takes_from_original =
            self.amount.is_some() || !self.meter.is_empty() || !self.unit.is_empty();
        if takes_from_original || self.category.is_some() {
            let message = "a reversal takes amount, meter, unit and category from its original: leave them out";
            return Err(Invalid::new("unexpected_field", message));
        }
        Ok(())
    }

    fn check_texts(&self) -> Result<(), Invalid> {
        self.check_size()?;
        let within = |text: &str, max: usize| text.chars().count() <= max;
        let category = self.category.as_deref().unwrap_or_default();
        if !within(category, Event::CATEGORY_CHARS_MAX) {
            let message = "a category has at most 64 characters";
            return Err(Invalid::new("category_too_long", message));
        }
        let description = self.description.as_deref().unwrap_or_default();
        if !within(description, Event::DESCRIPTION_CHARS_MAX) {
            let message = "a description has at most 500 characters";
            return Err(Invalid::new("description_too_long", message));
        }
        if self.attributes.len() > Event::ATTRIBUTES_MAX {
            let message = "an event has at most 16 attributes";
            return Err(Invalid::new("too_many_attributes", message));
        }
        let is_valid = self.attributes.iter().all(|(name, value)| {
            !name.is_empty()
                && within(name, Event::ATTRIBUTE_NAME_CHARS_MAX)
                && within(value, Event::ATTRIBUTE_VALUE_CHARS_MAX)
        });
        if !is_valid {
            let message = "an attribute's name has 1 to 64 characters, its value at most 256";
            return Err(Invalid::new("invalid_attribute", message));
        }
        Ok(())
    }

    /// Bounds an event that was not read from JSON in the same way, by its escaped texts.
    fn check_size(&self) -> Result<(), Invalid> {
        // An escaped control character, such as \u0001. Below this the exact length need not be measured.
        const ESCAPED_BYTES_MAX: usize = 6;
        let texts = [&self.key.id, &self.key.source, &self.meter, &self.unit].into_iter();
        let texts = texts.chain(&self.category).chain(&self.description);
        let texts = texts.chain(
            self.attributes
                .iter()
                .flat_map(|(name, value)| [name, value]),
        );
        let texts: Vec<&String> = texts.collect();
        if texts
            .iter()
            .map(|text| ESCAPED_BYTES_MAX * text.len())
            .sum::<usize>()
            <= Event::BYTES_MAX
        {
            return Ok(());
        }
        let json = serde_json::to_vec(&texts).expect("strings serialize");
        if json.len() > Event::BYTES_MAX {
            Err(too_large())
        } else {
            Ok(())
        }
    }

    /// Distinguishes a repeated event from a conflicting one: a hash of all fields but the key. Ledgers store
    /// it, so what goes in must never change.
    fn content_fingerprint(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        let mut field = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        field(self.kind.name());
        field(&self.amount.map_or(String::new(), |a| a.nanos().to_string()));
        field(&self.meter);
        field(&self.unit);
        field(self.category.as_deref().unwrap_or_default());
        field(self.description.as_deref().unwrap_or_default());
        let instant = self
            .time
            .as_ref()
            .map(|time| time.instant().as_nanosecond());
        field(&instant.map_or(String::new(), |nanos| nanos.to_string()));
        for key in self.reverses.iter() {
            field(&key.source);
            field(&key.id);
        }
        for (name, value) in &self.attributes {
            field(name);
            field(value);
        }
        let digest = hash.finalize();
        *digest.first_chunk().expect("SHA-256 gives 32 bytes")
    }
}

fn reversed_key(reverses: Option<Reverses>, own: &EventKey) -> Result<Option<EventKey>, Invalid> {
    let Some(Reverses { source, id }) = reverses else {
        return Ok(None);
    };
    let source = source.unwrap_or_else(|| own.source.clone());
    EventKey::new(source, id).map(Some)
}
