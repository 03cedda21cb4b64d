//! What a run asks of the host before its first frame.
//!
//! Guarantees: everything is tried before the source starts. Under
//! [`OnError::Strict`] the first refusal is the error; under [`OnError::Warn`]
//! each kind is one sentence, said once. What is held (shallow idle states) is given
//! back when [`Granted`] is dropped; memory stays locked.
//!
//! Not guaranteed: that the host still grants a thread its class or core when it
//! starts; a refusal then is treated alike.
//!
//! Cost: one short thread for each of the pipeline's, at start.

use super::ThreadPlan;
use super::run::{OnError, Options, PipelineError};
use crate::rt::latency::CpuLatency;
use crate::rt::memory::{keep_heap, lock_all};
use crate::rt::{SetupError, ThreadSetup};
use std::fmt::Display;
use std::mem::discriminant;

/// What the host has granted.
#[derive(Debug, Default)]
pub(super) struct Granted {
    /// Indices of the threads of which was said that they do not run as asked.
    refused: Vec<usize>,
    _latency: Option<CpuLatency>,
}

impl Granted {
    /// Asks for all that `options` say; says what is refused.
    pub(super) fn ask(&mut self, options: &Options) -> Result<(), PipelineError> {
        if options.lock_memory {
            keep_heap();
            taken(lock_all(), options)?;
        }
        if let Some(us) = options.cpu_latency_us {
            self._latency = taken(CpuLatency::hold(us), options)?;
        }
        let mut refusals = Vec::new();
        for (index, plan) in options.placement.threads().iter().enumerate() {
            let Err(error) = try_out(plan, options) else {
                continue;
            };
            if options.on_refusal(plan) == OnError::Strict {
                return Err(PipelineError::Setup(sentence(plan, &error)));
            }
            self.refused.push(index);
            refusals.push((plan, error));
        }
        for sentence in sentences(&refusals) {
            options.notices.say(sentence);
        }
        Ok(())
    }

    /// Whether the user knows that thread `index` does not run as asked.
    pub(super) fn has_refused(&self, index: usize) -> bool {
        self.refused.contains(&index)
    }
}

/// What was asked for, or none after that was said.
fn taken<T>(
    answer: Result<T, impl Display>,
    options: &Options,
) -> Result<Option<T>, PipelineError> {
    match answer {
        Ok(given) => Ok(Some(given)),
        Err(error) if options.on_error == OnError::Strict => {
            Err(PipelineError::Setup(error.to_string()))
        }
        Err(error) => {
            options.notices.say(error.to_string());
            Ok(None)
        }
    }
}

impl Options {
    /// What to do when `plan`'s core or class are refused.
    pub(super) fn on_refusal(&self, plan: &ThreadPlan) -> OnError {
        plan.on_error.unwrap_or(self.on_error)
    }

    /// How `plan`'s thread is to run.
    pub(super) fn setup_of(&self, plan: &ThreadPlan) -> ThreadSetup {
        ThreadSetup {
            core: plan.core,
            class: plan.class,
            timer_slack_ns: self.timer_slack_ns,
        }
    }
}

/// Sets up a thread as `plan` says, and lets it end.
fn try_out(plan: &ThreadPlan, options: &Options) -> Result<(), SetupError> {
    let setup = options.setup_of(plan);
    let answer = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("e4-try".into())
            .spawn_scoped(scope, || setup.apply())
            .map(std::thread::ScopedJoinHandle::join)
    });
    match answer {
        Ok(Ok(answer)) => answer,
        // No thread to try it on, or one that panicked: the real one will say.
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

/// `error` with the thread's name.
pub(super) fn sentence(plan: &ThreadPlan, error: &SetupError) -> String {
    format!("the {} thread: {error}", plan.stages[0])
}

/// One sentence for each kind of refusal: what one thread lacks, its like lack too.
fn sentences(refusals: &[(&ThreadPlan, SetupError)]) -> Vec<String> {
    let mut kinds: Vec<Vec<&(&ThreadPlan, SetupError)>> = Vec::new();
    for refusal in refusals {
        let kind = discriminant(&refusal.1);
        match kinds.iter_mut().find(|k| discriminant(&k[0].1) == kind) {
            Some(alike) => alike.push(refusal),
            None => kinds.push(vec![refusal]),
        }
    }
    let say = |alike: Vec<&(&ThreadPlan, SetupError)>| {
        let (plan, error) = alike[0];
        let others: Vec<_> = alike[1..].iter().map(|r| r.0.stages[0].name()).collect();
        let first = sentence(plan, error);
        match others.is_empty() {
            true => first,
            false => format!("{first} (likewise: {})", others.join(", ")),
        }
    };
    kinds.into_iter().map(say).collect()
}
