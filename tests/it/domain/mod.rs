//! Events, amounts, time zones and their bounds.

mod account_bounds;
mod event_bounds;
mod round_trips;
mod time_zones;
