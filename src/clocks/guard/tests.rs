use super::file::RECORD;
use super::*;
use crate::clocks::{Inventory, Khz, Limiter, Outcome, Refusal, discover};
use proptest::prelude::*;
use tree::{BOOT, COOLING, CPU, FakeTree, GPU};

#[allow(dead_code, reason = "the tests that are not here use the rest")]
#[path = "../../../tests/support/tree.rs"]
mod tree;

fn place(fake: &FakeTree) -> Place {
    Place {
        runtime_dir: fake.runtime_dir(),
        tree: Tree::new(fake.root()),
    }
}

/// What a start does: recover, discover, claim.
fn start(fake: &FakeTree) -> Result<(Guard, Inventory, Vec<Report>), GuardError> {
    let place = place(fake);
    let reports = recover(&place.runtime_dir, Some(&place.tree))?;
    let mut found = discover(&place.tree);
    let guard = Guard::claim(&place, &mut found.domains)?;
    Ok((guard, found, reports))
}

fn set(found: &mut Inventory, name: &str, khz: u32) -> Outcome {
    let domain = found.find(name).unwrap();
    let opp = domain.opps().at(Khz(khz)).unwrap();
    domain.set(opp)
}

fn guard_file(fake: &FakeTree, name: &str) -> PathBuf {
    fake.runtime_dir().join(format!("{name}.guard"))
}

fn crash(guard: Guard) {
    guard.handle.held.iter().for_each(Held::crash);
}

#[test]
fn clocks_are_given_back_and_the_guard_is_removed() {
    let fake = FakeTree::board();
    let before = fake.files();
    let (guard, mut found, _) = start(&fake).unwrap();
    assert!(guard_file(&fake, "cpu0").exists());
    assert_eq!(set(&mut found, "cpu0", 1_113_600), Outcome::InEffect);
    assert_eq!(set(&mut found, "gpu", 306_000), Outcome::InEffect);
    assert_eq!(set(&mut found, "emc", 204_000), Outcome::InEffect);
    assert_ne!(fake.files(), before);
    let reports = guard.give_back();
    assert!(
        reports
            .iter()
            .all(|r| r.is_done() && r.complaints().is_empty()),
        "{reports:?}"
    );
    assert_eq!(fake.files(), before);
    assert_eq!(std::fs::read_dir(fake.runtime_dir()).unwrap().count(), 0);
    assert!(guard.give_back().is_empty(), "once");
}

#[test]
fn nothing_is_written_after_the_clocks_are_given_back() {
    let fake = FakeTree::board();
    let before = fake.files();
    let (guard, mut found, _) = start(&fake).unwrap();
    let handle = guard.handle();
    set(&mut found, "cpu0", 1_113_600);
    std::thread::spawn(move || handle.give_back())
        .join()
        .unwrap();
    let refused = set(&mut found, "cpu0", 729_600);
    assert!(
        matches!(
            refused,
            Outcome::Refused {
                why: Refusal::GivenBack,
                ..
            }
        ),
        "{refused:?}"
    );
    assert_eq!(fake.files(), before);
}

#[test]
fn a_panic_gives_the_clocks_back() {
    let fake = FakeTree::board();
    let before = fake.files();
    let panicked = std::panic::catch_unwind(|| {
        let (_guard, mut found, _) = start(&fake).unwrap();
        set(&mut found, "gpu", 408_000);
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    assert_eq!(fake.files(), before);
}

#[test]
fn a_second_e4_on_the_same_domain_is_refused_with_a_sentence() {
    let fake = FakeTree::board();
    let (guard, ..) = start(&fake).unwrap();
    let place = place(&fake);
    let mut found = discover(&place.tree);
    let error = Guard::claim(&place, &mut found.domains).unwrap_err();
    let sentence = error.to_string();
    let pid = format!("(pid {})", std::process::id());
    assert!(
        sentence.contains("cpu0") && sentence.contains(&pid),
        "{sentence}"
    );
    let reports = recover(&place.runtime_dir, None).unwrap();
    assert!(
        reports.iter().all(|r| r.ending == Ending::Running),
        "{reports:?}"
    );
    drop(guard);
    Guard::claim(&place, &mut found.domains).unwrap();
}

#[test]
fn domains_that_nobody_holds_can_be_held_beside_others() {
    let fake = FakeTree::board();
    let place = place(&fake);
    let mut found = discover(&place.tree);
    let (mut cpu, mut others): (Vec<_>, Vec<_>) = found
        .domains
        .drain(..)
        .partition(|domain| domain.name() == "cpu0");
    let _cpu = Guard::claim(&place, &mut cpu).unwrap();
    let _others = Guard::claim(&place, &mut others).unwrap();
    assert_eq!(std::fs::read_dir(fake.runtime_dir()).unwrap().count(), 3);
}

#[test]
fn a_guard_that_was_left_is_named_to_whoever_did_not_recover() {
    let fake = FakeTree::board();
    let (guard, mut found, _) = start(&fake).unwrap();
    set(&mut found, "cpu0", 729_600);
    crash(guard);
    let place = place(&fake);
    let error = Guard::claim(&place, &mut discover(&place.tree).domains).unwrap_err();
    assert!(error.to_string().contains("`e4 restore`"), "{error}");
}

#[test]
fn the_next_start_gives_back_what_a_killed_one_left() {
    let fake = FakeTree::board();
    let before = fake.files();
    let (guard, mut found, _) = start(&fake).unwrap();
    set(&mut found, "cpu0", 729_600);
    set(&mut found, "emc", 204_000);
    crash(guard);
    assert_ne!(fake.files(), before);
    let (guard, _, reports) = start(&fake).unwrap();
    assert_eq!(fake.files(), before);
    assert_eq!(reports.len(), 3);
    assert!(reports.iter().all(Report::is_done), "{reports:?}");
    drop(guard);
}

#[test]
fn a_guard_of_another_boot_is_discarded() {
    let fake = FakeTree::board();
    let (guard, mut found, _) = start(&fake).unwrap();
    set(&mut found, "cpu0", 729_600);
    crash(guard);
    let pinned = fake.files();
    fake.put(BOOT, "00000000-0000-4000-8000-000000000002\n");
    let reports = recover(&fake.runtime_dir(), None).unwrap();
    assert!(
        reports.iter().all(|r| r.ending == Ending::Discarded),
        "{reports:?}"
    );
    assert!(reports[0].complaints()[0].contains("another boot"));
    assert_eq!(fake.files(), pinned);
    assert!(!guard_file(&fake, "cpu0").exists());
}

#[test]
fn a_guard_cut_off_anywhere_is_damaged_and_nothing_is_touched() {
    let fake = FakeTree::board();
    let (guard, mut found, _) = start(&fake).unwrap();
    set(&mut found, "cpu0", 729_600);
    crash(guard);
    let pinned = fake.files();
    let file = guard_file(&fake, "cpu0");
    let whole = std::fs::read(&file).unwrap();
    for length in [
        0,
        1,
        40,
        whole.len() / 2,
        whole.len() - RECORD,
        whole.len() - 1,
    ] {
        std::fs::write(&file, &whole[..length]).unwrap();
        let reports = recover(&fake.runtime_dir(), None).unwrap();
        let cpu = reports.iter().find(|r| r.domain == "cpu0").unwrap();
        assert_eq!(
            cpu.ending,
            Ending::Damaged,
            "{length} of {} bytes",
            whole.len()
        );
        assert!(cpu.complaints()[0].contains("is damaged"), "{cpu:?}");
        assert!(file.exists());
    }
    assert_eq!(
        fake.get(&format!("{CPU}/scaling_max_freq")),
        pinned[&fake.path(&format!("{CPU}/scaling_max_freq"))]
    );
    let place = place(&fake);
    let error = Guard::claim(&place, &mut discover(&place.tree).domains).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
}

#[test]
fn a_runtime_directory_that_cannot_be_used_is_named_and_no_clock_is_touched() {
    let fake = FakeTree::board();
    let before = fake.files();
    let in_the_way = fake.path("run");
    std::fs::write(&in_the_way, "").unwrap();
    let error = start(&fake).unwrap_err().to_string();
    assert!(error.contains("--runtime-dir"), "{error}");
    assert_eq!(fake.files(), before);
}

#[test]
fn a_file_that_another_process_has_written_to_is_left_alone_and_reported() {
    let fake = FakeTree::board();
    let (guard, mut found, _) = start(&fake).unwrap();
    set(&mut found, "cpu0", 729_600);
    let max = format!("{CPU}/scaling_max_freq");
    fake.put(&max, "1510400\n");
    fake.put(&format!("{CPU}/scaling_governor"), "userspace\n");
    let reports = guard.give_back();
    assert_eq!(fake.get(&max), "1510400\n");
    let cpu = reports.iter().find(|r| r.domain == "cpu0").unwrap();
    let complaints = cpu.complaints().join("; ");
    assert!(
        complaints.contains("scaling_max_freq holds 1510400"),
        "{complaints}"
    );
    assert!(
        complaints.contains("scaling_governor holds userspace"),
        "{complaints}"
    );
    assert!(cpu.is_done());
}

#[test]
fn a_limit_low_by_heat_is_given_back_as_the_hardwares() {
    let fake = FakeTree::board();
    let max = format!("{CPU}/scaling_max_freq");
    fake.put(&max, "1113600\n");
    fake.put(&format!("{COOLING}/cur_state"), "2\n");
    let (guard, mut found, _) = start(&fake).unwrap();
    let allowed = found.find("cpu0").unwrap().allowed();
    assert_eq!(
        (allowed.highest, allowed.by),
        (Khz(1_113_600), Some(Limiter::Thermal))
    );
    set(&mut found, "cpu0", 729_600);
    fake.put(&format!("{COOLING}/cur_state"), "0\n");
    let reports = guard.give_back();
    assert!(
        reports.iter().all(|r| r.complaints().is_empty()),
        "{reports:?}"
    );
    assert_eq!(fake.get(&max), "1984000\n");
}

#[test]
fn a_limit_low_by_bios_is_given_back_as_the_hardwares() {
    let fake = FakeTree::board();
    let max = format!("{CPU}/scaling_max_freq");
    fake.put(&max, "1510400\n");
    fake.put(&format!("{CPU}/bios_limit"), "1510400\n");
    let (guard, mut found, _) = start(&fake).unwrap();
    set(&mut found, "cpu0", 729_600);
    drop(guard);
    assert_eq!(fake.get(&max), "1984000\n");
}

#[test]
fn a_limit_that_the_user_had_set_is_kept_and_given_back() {
    let fake = FakeTree::board();
    let max = format!("{CPU}/scaling_max_freq");
    fake.put(&max, "1510400");
    let (guard, mut found, _) = start(&fake).unwrap();
    let clamped = Outcome::Clamped {
        to: Khz(1_510_400),
        by: Limiter::Other,
    };
    assert_eq!(set(&mut found, "cpu0", 1_984_000), clamped);
    set(&mut found, "cpu0", 729_600);
    drop(guard);
    assert_eq!(fake.get(&max), "1510400", "to the letter");
}

#[test]
fn clocks_throttled_in_mid_run_are_still_ours() {
    let fake = FakeTree::board();
    let (guard, mut found, _) = start(&fake).unwrap();
    set(&mut found, "cpu0", 1_510_400);
    fake.put(&format!("{COOLING}/cur_state"), "2\n");
    fake.put(&format!("{CPU}/scaling_max_freq"), "1113600\n");
    fake.put(&format!("{CPU}/scaling_min_freq"), "1113600\n");
    let clamped = Outcome::Clamped {
        to: Khz(1_113_600),
        by: Limiter::Thermal,
    };
    assert_eq!(found.find("cpu0").unwrap().check(), clamped);
    let reports = guard.give_back();
    assert!(
        reports.iter().all(|r| r.complaints().is_empty()),
        "{reports:?}"
    );
    assert_eq!(fake.get(&format!("{CPU}/scaling_max_freq")), "1984000\n");
    assert_eq!(fake.get(&format!("{CPU}/scaling_min_freq")), "729600\n");
}

#[test]
fn a_device_that_is_gone_does_not_keep_its_guard() {
    let fake = FakeTree::board();
    let (guard, mut found, _) = start(&fake).unwrap();
    set(&mut found, "gpu", 408_000);
    crash(guard);
    std::fs::remove_dir_all(fake.path(GPU)).unwrap();
    let reports = recover(&fake.runtime_dir(), None).unwrap();
    let gpu = reports.iter().find(|r| r.domain == "gpu").unwrap();
    assert!(
        gpu.is_done() && gpu.complaints()[0].contains("is not there"),
        "{gpu:?}"
    );
    assert!(!guard_file(&fake, "gpu").exists());
}

#[test]
fn another_tree_than_the_guards_own_is_refused() {
    let fake = FakeTree::board();
    let other = FakeTree::board();
    let (guard, mut found, _) = start(&fake).unwrap();
    set(&mut found, "cpu0", 729_600);
    crash(guard);
    let before = other.files();
    let tree = Tree::new(other.root());
    let reports = recover(&fake.runtime_dir(), Some(&tree)).unwrap();
    assert!(
        reports.iter().all(|r| r.ending == Ending::OtherRoot),
        "{reports:?}"
    );
    assert_eq!(other.files(), before);
}

/// What may happen to a guarded board.
#[derive(Clone, Debug)]
enum Step {
    Set { domain: usize, opp: usize },
    Crash,
    Restore,
    Exit,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, 0..4_usize).prop_map(|(domain, opp)| Step::Set { domain, opp }),
        1 => Just(Step::Crash),
        1 => Just(Step::Restore),
        1 => Just(Step::Exit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_sequence_of_sets_crashes_and_restores_ends_at_the_originals(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let fake = FakeTree::board();
        let before = fake.files();
        let mut held = None;
        for step in steps {
            match step {
                Step::Set { domain, opp } => {
                    let (_, found, _) = match &mut held {
                        Some(held) => held,
                        none => none.insert(start(&fake).unwrap()),
                    };
                    let domain = &mut found.domains[domain];
                    let opp = domain.opps().iter().nth(opp % domain.opps().len()).unwrap();
                    domain.set(opp);
                }
                Step::Crash => {
                    if let Some((guard, ..)) = held.take() {
                        crash(guard);
                    }
                }
                Step::Restore => {
                    recover(&fake.runtime_dir(), None).unwrap();
                }
                Step::Exit => held = None,
            }
        }
        drop(held);
        recover(&fake.runtime_dir(), None).unwrap();
        prop_assert_eq!(fake.files(), before);
        prop_assert_eq!(std::fs::read_dir(fake.runtime_dir()).map_or(0, Iterator::count), 0);
    }
}
