use super::*;
use crate::plan::belief::EVIDENCE_STEPS;
use crate::plan::cost::Source;
use crate::plan::file::{FORMAT, PlanFile, PlannedBelief, PlannedPoint};
use crate::plan::planner::Objective;
use std::sync::Arc;

const MS: u64 = 1_000_000;
const TABLE: [u32; 3] = [100, 200, 300];

/// One axis whose changes take `takes_ns`.
#[derive(Debug)]
struct Scripted {
    takes_ns: u64,
    level: usize,
    under_way: Option<(usize, u64)>,
    allowed: usize,
    refuses: bool,
    set: Vec<(u64, usize)>,
}

impl Scripted {
    fn new(takes_ns: u64) -> Self {
        Self {
            takes_ns,
            level: 0,
            under_way: None,
            allowed: TABLE.len() - 1,
            refuses: false,
            set: Vec::new(),
        }
    }
}

impl Board for Scripted {
    fn levels(&self, axis: usize) -> &[u32] {
        if axis == 0 { &TABLE } else { &[] }
    }

    fn set(&mut self, axis: usize, level: usize, now_ns: u64) -> Answer {
        self.set.push((now_ns, level));
        if self.refuses {
            let why = crate::clocks::Refusal::Unguarded;
            return Answer {
                state: State::Refused(why),
                at_ns: now_ns,
            };
        }
        let level = level.min(self.allowed);
        self.under_way = Some((level, now_ns + self.takes_ns));
        self.check(axis, now_ns)
    }

    fn check(&mut self, _: usize, now_ns: u64) -> Answer {
        let asked = self.set.last().map_or(0, |&(_, level)| level);
        let there = match self.under_way {
            Some((level, at_ns)) if at_ns <= now_ns => {
                self.level = level;
                true
            }
            other => other.is_none(),
        };
        let state = match self.allowed {
            allowed if allowed < asked => State::Clamped {
                level: allowed,
                by: crate::clocks::Limiter::Thermal,
            },
            _ if there => State::InEffect,
            _ => State::Pending,
        };
        Answer {
            state,
            at_ns: now_ns,
        }
    }

    fn allowed(&mut self, _: usize) -> usize {
        self.allowed
    }

    fn read(&mut self, _: usize) -> Option<(u32, bool)> {
        Some((TABLE[self.level], true))
    }
}

fn file(levels: &[u32], idle: Option<u32>) -> PlanFile {
    let point = |khz: u32| PlannedPoint {
        cpu_khz: khz,
        ahead: true,
        ..PlannedPoint::default()
    };
    let share = 1.0 / levels.len() as f64;
    PlanFile {
        format: FORMAT.into(),
        board: "scripted".into(),
        bundle: "b".into(),
        bundle_sha256: "d".into(),
        source: Source::Simulated,
        boundary: String::new(),
        objective: Objective::Energy,
        deadline_ms: 33.0,
        idle: idle.map(point),
        beliefs: vec![PlannedBelief {
            exit_share: vec![share; levels.len()],
            next: vec![1.0],
            evidence: vec![[1.0 / EVIDENCE_STEPS as f64; EVIDENCE_STEPS]; levels.len()],
            segments: levels.iter().map(|&khz| point(khz)).collect(),
        }],
    }
}

struct Rig {
    board: Scripted,
    controller: Controller,
    counters: Arc<Counters>,
    now_ns: u64,
    wake_ns: u64,
    frame: u64,
}

impl Rig {
    fn new(levels: &[u32], idle: Option<u32>, takes_ns: u64) -> Self {
        let board = Scripted::new(takes_ns);
        let tables = tables(&board);
        let plan = StagePlan::new(&file(levels, idle), "d", levels.len(), &tables).unwrap();
        let counters = Arc::new(Counters::default());
        let mut leads = Box::new(Leads::default());
        for way in [Way::Up, Way::Down] {
            leads.measured(0, way, Spread::exactly(takes_ns));
        }
        let controller = Controller::new(Box::new(plan), &tables, leads, counters.clone());
        Self {
            board,
            controller,
            counters,
            now_ns: 0,
            wake_ns: 0,
            frame: 0,
        }
    }

    fn until(&mut self, ns: u64) {
        while self.wake_ns < ns {
            self.now_ns = self.wake_ns.max(self.now_ns);
            self.wake_ns = self.controller.poll(self.now_ns, &mut self.board);
            assert!(self.wake_ns > self.now_ns, "it would spin");
        }
        self.now_ns = ns;
    }

    fn event(&mut self, kind: EventKind) {
        let event = Event {
            at_ns: self.now_ns,
            frame: self.frame,
            kind,
        };
        self.controller.event(event, &mut self.board);
        self.wake_ns = self.controller.poll(self.now_ns, &mut self.board);
    }

    /// Frames 33 ms apart, whose segments take 4 ms and which leave at the end.
    fn frames(&mut self, count: u64, segments: u8) {
        for _ in 0..count {
            let captured_ns = (self.frame + 1) * 33 * MS;
            for segment in 0..segments {
                self.until(captured_ns + u64::from(segment) * 4 * MS);
                let sample = self.frame;
                self.event(EventKind::Started {
                    segment,
                    sample,
                    captured_ns,
                });
            }
            self.until(captured_ns + u64::from(segments) * 4 * MS);
            let exit = segments - 1;
            self.event(EventKind::Left {
                exit,
                first_gate: 0.5,
            });
            self.frame += 1;
        }
    }
}

#[test]
fn changes_are_in_effect_as_their_segments_start() {
    let mut rig = Rig::new(&[100, 300, 200], None, 2 * MS);
    rig.frames(100, 3);
    let c = &rig.counters;
    assert_eq!(c.folded.get(), 0);
    // A lowering is not ahead before its predecessor's time is known well.
    assert!(c.staged.get() > 240, "{:?}", c.summary("plan"));
}

#[test]
fn the_board_idles_between_frames_and_is_home_for_the_next() {
    let mut rig = Rig::new(&[200, 300], Some(100), 2 * MS);
    rig.frames(50, 2);
    let c = rig.counters.summary("plan");
    assert!(c.idle >= 45, "{c:?}");
    assert!(c.late <= 12, "{c:?}");
    let levels: Vec<usize> = rig.board.set.iter().map(|&(_, level)| level).collect();
    assert!(levels.ends_with(&[0, 1, 2, 0]), "{levels:?}");
}

#[test]
fn what_would_come_after_the_frame_is_folded() {
    let mut rig = Rig::new(&[100, 300], None, 15 * MS);
    *rig.controller.leads = Leads::none();
    rig.controller
        .leads
        .measured(0, Way::Up, Spread::exactly(15 * MS));
    rig.frames(50, 2);
    let c = rig.counters.summary("plan");
    assert!(c.folded >= 40, "{c:?}");
    assert_eq!(c.staged, 1, "home, once: {c:?}");
}

#[test]
fn a_raise_that_outlasts_the_segments_before_it_is_staged_a_frame_ahead() {
    let mut rig = Rig::new(&[100, 300], None, 10 * MS);
    rig.frames(60, 2);
    let c = rig.counters.summary("plan");
    assert!(c.staged >= 2 * 45, "{c:?}");
}

#[test]
fn a_cap_restricts_the_plan_and_its_release_gives_it_back() {
    let mut rig = Rig::new(&[100, 300], None, MS);
    rig.frames(20, 2);
    rig.board.allowed = 1;
    rig.frames(40, 2);
    let clamped = rig.counters.clamped.get();
    assert!((1..=3).contains(&clamped), "{clamped}");
    assert!(
        rig.board.set[rig.board.set.len() - 8..]
            .iter()
            .all(|&(_, level)| level <= 1)
    );
    assert!(matches!(
        rig.controller.trouble(),
        Some(Trouble::Clamped { khz: 200, .. })
    ));
    rig.board.allowed = 2;
    rig.frames(40, 2);
    assert!(
        rig.board.set[rig.board.set.len() - 8..]
            .iter()
            .any(|&(_, level)| level == 2)
    );
}

#[test]
fn a_refused_wish_is_let_be_for_a_second() {
    let mut rig = Rig::new(&[100, 300], None, MS);
    rig.board.refuses = true;
    rig.frames(90, 2);
    let refused = rig.counters.refused.get();
    assert!((2..=4).contains(&refused), "{refused}");
    rig.board.refuses = false;
    rig.frames(60, 2);
    assert!(rig.counters.staged.get() > 40);
}

#[test]
fn lost_events_are_survived() {
    let mut rig = Rig::new(&[100, 300, 100], None, MS);
    rig.frames(30, 3);
    rig.frame += 7;
    rig.frames(2, 1);
    rig.until(rig.now_ns + 40 * MS);
    rig.event(EventKind::Dropped);
    rig.frame += 2;
    let before = rig.counters.staged.get();
    rig.frames(30, 3);
    assert!(rig.counters.staged.get() > before + 50);
}

#[test]
fn another_plan_takes_the_place_of_one() {
    let mut rig = Rig::new(&[100, 300], None, MS);
    rig.frames(20, 2);
    let tables = tables(&rig.board);
    let next = StagePlan::new(&file(&[200, 200], None), "d", 2, &tables).unwrap();
    let old = rig.controller.swap(Box::new(next));
    assert_eq!(old.turn(0, 1).levels[0], 2);
    rig.frames(20, 2);
    assert_eq!(rig.board.set.last().map(|&(_, level)| level), Some(1));
    let other = StagePlan::new(&file(&[100], None), "d", 1, &tables).unwrap();
    assert_eq!(
        rig.controller.swap(Box::new(other)).segments(),
        1,
        "handed back"
    );
}

#[test]
fn a_plan_for_something_else_is_refused_by_name() {
    let tables = [TABLE.to_vec(), Vec::new(), Vec::new()];
    let refused = |file: &PlanFile, digest: &str, segments: usize| {
        let error = StagePlan::new(file, digest, segments, &tables).unwrap_err();
        error.to_string()
    };
    assert!(refused(&file(&[100], None), "x", 1).contains("digest d"));
    assert!(refused(&file(&[100], None), "d", 2).contains("1 segments"));
    let off = refused(&file(&[150], None), "d", 1);
    assert_eq!(
        off,
        "cpu_khz = 150 is no clock of this board, which has 100, 200, 300"
    );
    let mut gpu = file(&[100], None);
    gpu.beliefs[0].segments[0] = PlannedPoint {
        gpu_khz: 5,
        ahead: true,
        ..PlannedPoint::default()
    };
    assert!(refused(&gpu, "d", 1).contains("none of the clocks"));
}
