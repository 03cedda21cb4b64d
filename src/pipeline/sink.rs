//! The sink stage: hands each result to the outputs and keeps the totals.
//!
//! Guarantees: a result is published before it is counted; accepting one takes no
//! lock and allocates nothing, except for the status line's few redraws a second. A reader
//! that goes away ends the run as a success, an output that fails ends it as a
//! failure; results that come after that are counted all the same.
//!
//! Not guaranteed: that a file or standard output takes a line at once. Only a
//! datagram never waits. Waiting for a reader holds the stages up without being a
//! stall (see [`Stop::while_reader_waits`](super::Stop::while_reader_waits)).

use super::ResultSink;
use super::auto::FrameTap;
use super::energy::RunEnergy;
use crate::handoff::Claimable;
use crate::monotonic::now_ns;
use crate::power::Figure;
use crate::sync::Arc;
use crate::telemetry::line::{LineFormat, add_energy};
use crate::telemetry::status::StatusLine;
use crate::telemetry::trace::Trace;
use crate::telemetry::{
    Aggregate, DropCounters, EnergyEnd, FrameResult, Output, OutputEnd, Report,
};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// What a [`Sink`] is made from.
#[derive(Debug)]
pub struct SinkSetup {
    /// Class names of the bundle.
    pub labels: Vec<String>,
    /// MACs of each segment, one per exit.
    pub segment_macs: Vec<u64>,
    /// The run's counters.
    pub drops: Arc<DropCounters>,
    /// Where JSON lines go.
    pub outputs: Vec<Box<dyn Output>>,
    /// The live status line, if there is one.
    pub status: Option<StatusLine>,
    /// The source is an endless stream: its actions are judged, not its clips.
    pub endless: bool,
    /// What measures the run's energy, if anything does.
    pub energy: Option<RunEnergy>,
    /// Who gets copies of the results, if anybody does.
    pub tap: Option<FrameTap>,
    /// The run's trace, if one is written.
    pub trace: Option<Trace>,
}

/// What a sink has gathered.
#[derive(Debug)]
struct Gathered {
    totals: Aggregate,
    unsent: u64,
    end: OutputEnd,
}

/// Tells what a [`Sink`] has gathered, also when a failed run has taken the sink
/// itself along.
#[derive(Clone, Debug)]
pub struct SinkWatch {
    gathered: Arc<Claimable<Gathered>>,
    drops: Arc<DropCounters>,
}

impl SinkWatch {
    /// The report as it stands.
    #[must_use]
    pub fn report(&self) -> Report {
        let report = |gathered: &mut Gathered| Report {
            totals: gathered.totals.clone(),
            drops: self.drops.clone(),
            gaps: BTreeMap::new(),
            unsent: gathered.unsent,
            output: gathered.end.clone(),
            energy: EnergyEnd::default(),
            dvfs: None,
        };
        loop {
            // The sink is in its totals for microseconds at a time.
            match self.gathered.try_with(report) {
                Some(report) => return report,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

/// The last stage.
#[derive(Debug)]
pub struct Sink {
    /// Claimed by nobody else before the run has ended.
    gathered: Arc<Claimable<Gathered>>,
    labels: Vec<String>,
    format: LineFormat,
    line: Vec<u8>,
    drops: Arc<DropCounters>,
    outputs: Vec<Box<dyn Output>>,
    status: Option<StatusLine>,
    end: OutputEnd,
    energy: Option<RunEnergy>,
    tap: Option<FrameTap>,
    trace: Option<Trace>,
}

impl Sink {
    /// A sink that has seen nothing yet.
    #[must_use]
    pub fn new(setup: SinkSetup) -> Self {
        let SinkSetup {
            labels,
            segment_macs,
            drops,
            outputs,
            status,
            endless,
            energy,
            tap,
            trace,
        } = setup;
        let format = LineFormat::new(&labels);
        let gathered = Gathered {
            totals: Aggregate::new(&segment_macs).endless(endless),
            unsent: 0,
            end: OutputEnd::Complete,
        };
        Self {
            gathered: Arc::new(Claimable::new(gathered)),
            labels,
            line: Vec::with_capacity(format.longest()),
            format,
            drops,
            outputs,
            status,
            end: OutputEnd::Complete,
            energy,
            tap,
            trace,
        }
    }

    /// Flushes the outputs, takes the status line away and hands over the totals.
    #[must_use]
    pub fn finish(mut self) -> Report {
        if let Some(energy) = &mut self.energy {
            energy.settle();
        }
        self.publish_held(true);
        self.flush();
        self.gather(None);
        self.status = None;
        let mut report = self.watch().report();
        report.energy = self
            .energy
            .take()
            .map(RunEnergy::finish)
            .unwrap_or_default();
        report
    }

    /// What tells the totals so far, from any thread.
    #[must_use]
    pub fn watch(&self) -> SinkWatch {
        SinkWatch {
            gathered: self.gathered.clone(),
            drops: self.drops.clone(),
        }
    }

    /// Brings what has been gathered up to date; true when a status line is due.
    /// A result that comes while the report is made, after the end, is not in it.
    fn gather(&mut self, result: Option<&FrameResult>) -> bool {
        let outputs = self.outputs.iter().map(AsRef::as_ref);
        let outputs = outputs.chain(self.trace.iter().map(Trace::output));
        let unsent = outputs.map(Output::unsent).sum();
        let Self {
            gathered,
            end,
            status,
            labels,
            drops,
            ..
        } = self;
        let due = gathered.try_with(|gathered| {
            gathered.unsent = unsent;
            if gathered.end != *end {
                gathered.end.clone_from(end);
            }
            let result = result?;
            gathered.totals.record(result);
            let class = labels.get(usize::from(result.class));
            let class = class.map_or("", String::as_str);
            let status = status.as_mut()?;
            Some(status.compose(now_ns(), &gathered.totals, drops, class))
        });
        due.flatten().unwrap_or_default()
    }

    /// Publishes the lines that have waited for their energy long enough.
    fn publish_held(&mut self, last: bool) {
        while let Some((held, figure)) = self.energy.as_mut().and_then(|e| e.release(last)) {
            if self.end == OutputEnd::Complete {
                self.publish(&held.result, held.drops, figure);
            }
        }
    }

    fn publish(&mut self, result: &FrameResult, drops: u64, figure: Option<Figure>) {
        self.line.clear();
        let formatted = self.format.write(&mut self.line, result, drops);
        let formatted = formatted.and_then(|()| match figure {
            Some(figure) => add_energy(&mut self.line, figure.joules, figure.error_joules),
            None => Ok(()),
        });
        for output in &mut self.outputs {
            let written = match &formatted {
                Ok(()) => output.write(&self.line),
                Err(error) => Err(error.kind().into()),
            };
            if let Err(error) = written {
                note(&mut self.end, output.as_ref(), &error);
            }
        }
    }

    /// Adds a result to the trace.
    fn trace(&mut self, result: &FrameResult) {
        if let Some(trace) = &mut self.trace
            && let Err(error) = trace.record(result)
        {
            note(&mut self.end, trace.output(), &error);
        }
    }

    fn flush(&mut self) {
        if self.end == OutputEnd::Complete
            && let Some(trace) = &mut self.trace
            && let Err(error) = trace.finish()
        {
            note(&mut self.end, trace.output(), &error);
        }
        for output in &mut self.outputs {
            if let Err(error) = output.flush() {
                note(&mut self.end, output.as_ref(), &error);
            }
        }
    }
}

impl ResultSink for Sink {
    /// Takes a result; false once nobody reads any more or an output has failed.
    /// Later results are only counted.
    fn accept(&mut self, result: &FrameResult) -> bool {
        let lines = self.end == OutputEnd::Complete && !self.outputs.is_empty();
        let drops = self.drops.total();
        let energy = self.energy.as_mut();
        let held = energy.is_some_and(|energy| energy.take(result, drops, lines));
        if held {
            self.publish_held(false);
        } else if lines {
            self.publish(result, drops, None);
        }
        if let Some(tap) = &mut self.tap {
            tap.take(result);
        }
        if self.end == OutputEnd::Complete {
            self.trace(result);
        }
        if self.gather(Some(result))
            && let Some(status) = &mut self.status
        {
            status.put();
        }
        self.end == OutputEnd::Complete
    }
}

/// Keeps the gravest end: a failure outweighs a reader that went away.
fn note(end: &mut OutputEnd, output: &dyn Output, error: &io::Error) {
    match (&end, error.kind()) {
        (OutputEnd::Failed(_), _) => {}
        (_, io::ErrorKind::BrokenPipe) => *end = OutputEnd::Closed,
        _ => *end = OutputEnd::Failed(format!("{}: {error}", output.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::{frame, names};
    use std::sync::Mutex;

    #[derive(Debug, Default)]
    struct Recorder {
        lines: Arc<Mutex<Vec<String>>>,
        fails: Option<(usize, io::ErrorKind)>,
    }

    impl Output for Recorder {
        fn name(&self) -> String {
            "recorder".into()
        }
        fn write(&mut self, line: &[u8]) -> io::Result<()> {
            let mut lines = self.lines.lock().unwrap();
            match self.fails {
                Some((after, kind)) if lines.len() >= after => Err(kind.into()),
                _ => {
                    lines.push(String::from_utf8(line.to_vec()).unwrap());
                    Ok(())
                }
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn unsent(&self) -> u64 {
            7
        }
    }

    fn sink(outputs: Vec<Box<dyn Output>>) -> Sink {
        Sink::new(SinkSetup {
            labels: names(&["walk"]),
            segment_macs: vec![1, 1],
            drops: Arc::default(),
            outputs,
            status: None,
            endless: false,
            energy: None,
            tap: None,
            trace: None,
        })
    }

    #[test]
    fn every_output_gets_every_line() {
        let (first, second) = (Recorder::default(), Recorder::default());
        let lines = [first.lines.clone(), second.lines.clone()];
        let mut sink = sink(vec![Box::new(first), Box::new(second)]);
        for _ in 0..3 {
            assert!(sink.accept(&frame(0)));
        }
        let report = sink.finish();
        assert_eq!((report.totals.results(), report.unsent), (3, 14));
        assert_eq!(report.output, OutputEnd::Complete);
        for lines in lines {
            let lines = lines.lock().unwrap();
            assert_eq!(lines.len(), 3);
            assert!(lines.iter().all(|line| line.ends_with("}\n")));
        }
    }

    #[test]
    fn a_reader_that_goes_away_ends_the_run_as_a_success() {
        let fails = Some((2, io::ErrorKind::BrokenPipe));
        let mut sink = sink(vec![Box::new(Recorder {
            fails,
            ..Recorder::default()
        })]);
        let flows = [0; 4].map(|exit| sink.accept(&frame(exit)));
        assert_eq!(flows, [true, true, false, false]);
        let report = sink.finish();
        assert_eq!(report.output, OutputEnd::Closed);
        assert_eq!(report.totals.results(), 4, "a decided frame is a result");
    }

    #[test]
    fn an_output_that_fails_ends_the_run_and_is_named() {
        let fails = Some((0, io::ErrorKind::StorageFull));
        let mut sink = sink(vec![Box::new(Recorder {
            fails,
            ..Recorder::default()
        })]);
        assert!(!sink.accept(&frame(0)));
        let OutputEnd::Failed(reason) = sink.finish().output else {
            panic!("a failure must be reported");
        };
        assert!(reason.starts_with("recorder: "), "{reason}");
    }

    #[test]
    fn lines_count_the_drops_before_them() {
        let recorder = Recorder::default();
        let lines = recorder.lines.clone();
        let mut sink = sink(vec![Box::new(recorder)]);
        sink.drops
            .drop_frame(crate::telemetry::DropReason::Superseded);
        assert!(sink.accept(&frame(0)));
        assert!(lines.lock().unwrap()[0].ends_with(",\"drops\":1}\n"));
    }
}
