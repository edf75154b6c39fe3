use crate::domain::{Invalid, Profile, Recount};

/// What an edit of a profile came to.
#[derive(Debug)]
pub(crate) enum ProfileEdit {
    Done(Profile),
    Refused(Invalid),
    /// Nothing was changed: the account's days must first be counted in the new time zone, from here on. The writer
    /// does not do it, since everybody's events would wait.
    Uncounted(Recount),
}
