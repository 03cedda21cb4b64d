//! Sentences that a source says to the user while it works.
//!
//! Guarantees: a sentence is said at once, on the thread of the source. Not
//! guaranteed: that each is said once; a device that is lost twice says so twice.

use std::fmt;
use std::sync::Arc;

/// Says a sentence to the user, at once; clones say it to the same.
#[derive(Clone)]
pub struct Reporter(Arc<dyn Fn(&str) + Send + Sync>);

impl Reporter {
    /// One that calls `say`.
    pub fn new(say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(say))
    }

    /// One that says nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    pub(super) fn say(&self, sentence: &str) {
        (self.0)(sentence);
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}
