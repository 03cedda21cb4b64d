//! Sentences for the user about a run, said when they arise.
//!
//! Guarantees: each sentence is said at once, on the thread that finds it out,
//! and once, unless it is about what may happen again (a camera that is lost);
//! the first [`KEPT`] are kept for the end of the run. Not guaranteed: that saying
//! one is quick; a notice is for what happens now and then, never once a frame.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Sentences kept at most: a camera may come and go for months.
const KEPT: usize = 100;

/// Says a sentence to the user.
type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// Where the stages leave their sentences; clones share what has been said.
#[derive(Clone, Default)]
pub(super) struct Notices {
    said: Arc<Mutex<Vec<String>>>,
    say: Option<Say>,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices")
            .field("said", &self.said)
            .finish_non_exhaustive()
    }
}

impl Notices {
    /// Sentences go to `say` from now on.
    pub fn told_to(&mut self, say: impl Fn(&str) + Send + Sync + 'static) {
        self.say = Some(Arc::new(say));
    }

    /// Says `sentence`, unless it has been said.
    pub fn say(&self, sentence: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.contains(&sentence) {
            return;
        }
        self.speak(&sentence);
        keep(&mut said, &sentence);
    }

    /// Says `sentence`, however often it has been said.
    pub fn say_again(&self, sentence: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        self.speak(sentence);
        keep(&mut said, sentence);
    }

    fn speak(&self, sentence: &str) {
        if let Some(say) = &self.say {
            say(sentence);
        }
    }

    /// What has been said so far.
    pub fn said(&self) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }
}

fn keep(said: &mut Vec<String>, sentence: &str) {
    if said.len() < KEPT {
        said.push(sentence.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_said_at_once_and_once() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut notices = Notices::default();
        let ear = heard.clone();
        notices.told_to(move |sentence| ear.lock().unwrap().push(sentence.to_owned()));
        notices.say("a".into());
        assert_eq!(*heard.lock().unwrap(), ["a"]);
        notices.clone().say("a".into());
        notices.say("b".into());
        assert_eq!(*heard.lock().unwrap(), ["a", "b"]);
        assert_eq!(notices.said(), ["a", "b"]);
    }

    #[test]
    fn what_happens_again_is_said_again_and_not_kept_without_end() {
        let heard = Arc::new(Mutex::new(0));
        let mut notices = Notices::default();
        let ear = heard.clone();
        notices.told_to(move |_| *ear.lock().unwrap() += 1);
        (0..2 * KEPT).for_each(|_| notices.say_again("lost"));
        assert_eq!(*heard.lock().unwrap(), 2 * KEPT);
        assert_eq!(notices.said().len(), KEPT);
    }
}
