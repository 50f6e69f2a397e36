//! The fold of customers.

use dealog_events::{
    Envelope,
    customer::{CustomerEvent, Registered},
};

use super::tables::CustomerRow;
use crate::{
    ProjectionError,
    models::{history::Fold, json, stored::set_field, unapplicable},
};

impl Fold for CustomerRow {
    type Event = CustomerEvent;
    const SINCE_EVER: bool = true;

    fn begin(&mut self, envelope: &Envelope, event: &CustomerEvent) -> Result<(), ProjectionError> {
        let CustomerEvent::Registered(Registered::Organisation { name, sector, fields }) = event else {
            return Err(unapplicable(envelope, "the customer was never registered"));
        };
        "organisation".clone_into(&mut self.kind);
        self.name = name.to_string();
        self.sector = sector.as_ref().map(ToString::to_string);
        self.fields = json(fields)?;
        Ok(())
    }

    fn change(&mut self, envelope: &Envelope, event: &CustomerEvent) -> Result<(), ProjectionError> {
        match event {
            CustomerEvent::Registered(_) => return Err(unapplicable(envelope, "the customer was registered before")),
            CustomerEvent::Renamed(event) => self.name = event.to.to_string(),
            CustomerEvent::FieldSet(event) => set_field(&mut self.fields, &event.field, event.to.as_ref())?,
        }
        Ok(())
    }

    fn rests(&self) -> bool {
        // Each seldom changes, and there are as many as deals.
        true
    }
}
