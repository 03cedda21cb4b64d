//! What every clock domain must do, over every implementation: cpufreq, devfreq
//! and both memory clocks on a tree that stands in for the kernel's, and with
//! `E4_REAL_CLOCKS=1` the clocks of this machine (in a virtual machine, say).
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

use e4::clocks::guard::Report;
use e4::clocks::{
    ClockDomain, DomainKind, Guard, Khz, Limiter, OppTable, Outcome, Place, Refusal, Role, Tree,
    discover, discover_within, recover, rows, settle,
};
use e4::monotonic::now_ns;
use nix::errno::Errno;
use std::time::Duration;
use tree::{COOLING, CPU, EMC, FakeTree, GPU, NANO_EMC};

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "support/tree.rs"]
mod tree;

fn place(fake: &FakeTree) -> Place {
    Place {
        runtime_dir: fake.runtime_dir(),
        tree: Tree::new(fake.root()),
    }
}

/// Domains of the tree, unguarded.
fn domains(place: &Place) -> Vec<Box<dyn ClockDomain>> {
    discover(&place.tree).domains
}

/// The point is taken and, where the hardware can be read, in effect.
fn takes(domain: &mut dyn ClockDomain, khz: Khz) {
    let opp = domain.opps().at(khz).unwrap();
    let measured = domain.now().unwrap().measured;
    domain.set(opp);
    let outcome = settle(domain, now_ns() + 2_000_000_000);
    let expected = if measured {
        Outcome::InEffect
    } else {
        Outcome::Unverified
    };
    assert_eq!(outcome, expected, "{} to {khz}", domain.name());
    if measured {
        assert_eq!(domain.now().unwrap().khz, khz, "{}", domain.name());
    }
    assert_eq!(domain.check(), expected, "and it stays so");
}

/// The contract; the domain is guarded and nobody else limits it.
fn contract(domain: &mut dyn ClockDomain) {
    let table: Vec<Khz> = domain.opps().iter().map(|opp| opp.khz()).collect();
    assert!(table.is_sorted() && !table.is_empty());
    let allowed = domain.allowed();
    assert_eq!((Some(&allowed.highest), allowed.by), (table.last(), None));
    for &khz in table.iter().chain(table.iter().rev()) {
        takes(domain, khz);
    }
    let (first, last) = (table[0], *table.last().unwrap());
    for khz in [last, first, last, last, first, first] {
        takes(domain, khz);
    }
    off_table(domain);
    assert_eq!(domain.opps().at(Khz(first.0 + 1)), None);
}

/// A point of another table is refused and changes nothing.
fn off_table(domain: &mut dyn ClockDomain) {
    let between = domain.opps().lowest().raw() + 1_500;
    let foreign = OppTable::of(vec![between], domain.opps().unit()).unwrap();
    let before: Vec<_> = domain.knobs().iter().map(|knob| knob.read()).collect();
    let refused = Outcome::Refused {
        knob: None,
        why: Refusal::OffTable,
    };
    assert_eq!(domain.set(foreign.lowest()), refused);
    let after: Vec<_> = domain.knobs().iter().map(|knob| knob.read()).collect();
    assert_eq!(before, after);
}

/// The contract over every domain of a place, and what surrounds it.
fn holds_at(place: &Place) -> usize {
    let mut domains = domains(place);
    for domain in &mut domains {
        let lowest = domain.opps().lowest();
        let outcome = domain.set(lowest);
        let unguarded = matches!(
            outcome,
            Outcome::Refused {
                why: Refusal::Unguarded | Refusal::System(_),
                ..
            }
        );
        assert!(unguarded, "{outcome:?}");
    }
    let mut domains = self::domains(place);
    let guard = Guard::claim(place, &mut domains).unwrap();
    domains
        .iter_mut()
        .for_each(|domain| contract(domain.as_mut()));
    let reports = guard.give_back();
    assert!(reports.iter().all(Report::is_done), "{reports:?}");
    let lowest = domains.iter_mut().map(|domain| {
        let lowest = domain.opps().lowest();
        domain.set(lowest)
    });
    for refused in lowest {
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
    }
    domains.len()
}

#[test]
fn every_stand_in_keeps_the_contract() {
    for name in ["cpufreq", "devfreq", "bpmp", "nano"] {
        let fake = FakeTree::empty();
        match name {
            "cpufreq" => fake.add_cpu(),
            "devfreq" => fake.add_gpu(),
            "bpmp" => fake.add_emc(),
            _ => fake.add_nano_emc(),
        }
        let before = fake.files();
        assert_eq!(holds_at(&place(&fake)), 1, "{name}");
        assert_eq!(fake.files(), before, "{name}");
    }
}

#[test]
fn real_clocks_keep_the_contract() {
    if std::env::var_os("E4_REAL_CLOCKS").is_none() {
        println!("SKIP: the clocks of this machine are not touched without E4_REAL_CLOCKS=1");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = Place {
        runtime_dir: folder.path().to_owned(),
        tree: Tree::default(),
    };
    let count = holds_at(&place);
    println!("{count} real domains keep the contract");
    assert!(count > 0);
}

#[test]
fn a_clock_that_only_repeats_the_wish_is_never_in_effect() {
    let fake = FakeTree::empty();
    fake.add_cpu();
    std::fs::remove_file(fake.path(&format!("{CPU}/cpuinfo_cur_freq"))).unwrap();
    assert_eq!(holds_at(&place(&fake)), 1);
    fake.add_gpu();
    std::fs::remove_file(fake.path(&format!("{GPU}/device/driver"))).unwrap();
    assert_eq!(holds_at(&place(&fake)), 2);
    assert!(rows(&place(&fake)).iter().all(|row| !row.measured));
}

#[test]
fn a_clock_that_does_not_come_is_pending_and_then_clamped_by_the_hardware() {
    let fake = FakeTree::empty();
    fake.add_cpu();
    let clock = fake.path(&format!("{CPU}/cpuinfo_cur_freq"));
    std::fs::remove_file(&clock).unwrap();
    std::fs::write(&clock, "1499000\n").unwrap();
    let place = place(&fake);
    let mut domains = domains(&place);
    let _guard = Guard::claim(&place, &mut domains).unwrap();
    let cpu = domains[0].as_mut();
    let reads = Khz(1_510_400);
    assert_eq!(cpu.set(cpu.opps().highest()), Outcome::Pending { reads });
    let clamped = Outcome::Clamped {
        to: reads,
        by: Limiter::Hardware,
    };
    assert_eq!(settle(cpu, now_ns() + 1_000_000), clamped);
}

/// A full device takes nothing; the kernel's own number takes no clock.
#[test]
fn a_file_that_takes_nothing_is_named_with_the_kernels_reason() {
    refuses("/dev/full", Errno::ENOSPC);
    refuses("/proc/self/oom_score_adj", Errno::EINVAL);
}

fn refuses(file: &str, errno: Errno) {
    let fake = FakeTree::empty();
    fake.add_nano_emc();
    let rate = fake.path(&format!("{NANO_EMC}/clk_update_rate"));
    std::fs::remove_file(&rate).unwrap();
    std::os::unix::fs::symlink(file, &rate).unwrap();
    let place = place(&fake);
    let mut domains = domains(&place);
    let _guard = Guard::claim(&place, &mut domains).unwrap();
    let refused = Outcome::Refused {
        knob: Some(Role::Rate),
        why: Refusal::System(errno),
    };
    let lowest = domains[0].opps().lowest();
    assert_eq!(domains[0].set(lowest), refused);
}

#[test]
fn a_limit_file_that_is_missing_is_named_before_anything_is_written() {
    let fake = FakeTree::board();
    std::fs::remove_file(fake.path(&format!("{CPU}/scaling_min_freq"))).unwrap();
    let before = fake.files();
    let place = place(&fake);
    let error = Guard::claim(&place, &mut domains(&place))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("scaling_min_freq") && error.contains("could not be given back"),
        "{error}"
    );
    assert_eq!(fake.files(), before);
    assert_eq!(std::fs::read_dir(place.runtime_dir).unwrap().count(), 0);
}

#[test]
fn a_limit_set_by_another_process_clamps_until_it_is_raised() {
    let fake = FakeTree::empty();
    fake.add_cpu();
    let place = place(&fake);
    let mut domains = domains(&place);
    let _guard = Guard::claim(&place, &mut domains).unwrap();
    let cpu = domains[0].as_mut();
    takes(cpu, Khz(1_984_000));
    let max = format!("{CPU}/scaling_max_freq");
    fake.put(&max, "1113600\n");
    let clamped = Outcome::Clamped {
        to: Khz(1_113_600),
        by: Limiter::Other,
    };
    assert_eq!(cpu.check(), clamped);
    assert_eq!(cpu.allowed().highest, Khz(1_113_600));
    assert_eq!(
        cpu.set(cpu.opps().highest()),
        clamped,
        "it is not gone over"
    );
    fake.put(&max, "1984000\n");
    assert_eq!(cpu.allowed().highest, Khz(1_984_000));
    takes(cpu, Khz(1_984_000));
}

#[test]
fn heat_is_seen_in_what_is_allowed_while_the_clock_is_low() {
    let fake = FakeTree::empty();
    fake.add_cpu();
    let place = place(&fake);
    let mut domains = domains(&place);
    let _guard = Guard::claim(&place, &mut domains).unwrap();
    let cpu = domains[0].as_mut();
    takes(cpu, Khz(729_600));
    fake.put(&format!("{COOLING}/cur_state"), "1\n");
    let allowed = cpu.allowed();
    assert_eq!(
        (allowed.highest, allowed.by),
        (Khz(1_510_400), Some(Limiter::Thermal))
    );
    fake.put(&format!("{COOLING}/cur_state"), "0\n");
    assert_eq!(cpu.allowed().by, None);
}

#[test]
fn a_memory_cap_of_the_power_mode_is_nvpmodels() {
    let fake = FakeTree::board();
    fake.put("sys/kernel/nvpmodel_clk_cap/emc", "665600000\n");
    let place = place(&fake);
    let mut found = discover(&place.tree);
    let _guard = Guard::claim(&place, &mut found.domains).unwrap();
    let allowed = found.find("emc").unwrap().allowed();
    assert_eq!(
        (allowed.highest, allowed.by),
        (Khz(665_600), Some(Limiter::Nvpmodel))
    );
}

#[test]
fn memory_without_a_list_of_rates_has_its_two_ends() {
    let fake = FakeTree::empty();
    fake.add_emc();
    std::fs::remove_file(fake.path(&format!("{EMC}/possible_rates"))).unwrap();
    let found = discover(&Tree::new(fake.root()));
    let clocks: Vec<u32> = found.domains[0].opps().iter().map(|o| o.khz().0).collect();
    assert_eq!(clocks, [204_000, 2_133_000]);
}

#[test]
fn a_node_that_appears_late_is_waited_for() {
    let fake = FakeTree::empty();
    let tree = Tree::new(fake.root());
    let kinds = [DomainKind::Cpu, DomainKind::Gpu];
    let none = discover_within(&tree, &kinds, Duration::from_millis(1));
    assert!(none.domains.is_empty());
    assert_eq!(none.absent.len(), 3);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            fake.add_cpu();
            fake.add_gpu();
        });
        let found = discover_within(&tree, &kinds, Duration::from_secs(30));
        assert_eq!(found.domains.len(), 2);
    });
}

#[test]
fn the_doctors_rows_name_what_is_wrong_and_its_cure() {
    let fake = FakeTree::empty();
    fake.add_cpu();
    fake.put(&format!("{CPU}/scaling_max_freq"), "1113600\n");
    let place = place(&fake);
    let found = rows(&place);
    assert_eq!(found.iter().filter(|row| row.present).count(), 1);
    let cpu = &found[0];
    assert_eq!(
        (cpu.domain.as_str(), cpu.points, cpu.writable),
        ("cpu0", 4, true)
    );
    assert_eq!(cpu.governor.as_deref(), Some("schedutil"));
    assert_eq!(cpu.capped_khz, Some(1_113_600));
    assert!(
        cpu.fix.as_ref().unwrap().contains("scaling_max_freq"),
        "{cpu:?}"
    );
    let emc = found.iter().find(|row| row.domain == "emc").unwrap();
    assert!(
        !emc.present && emc.fix.as_ref().unwrap().contains("debugfs"),
        "{emc:?}"
    );
    fake.put(&format!("{CPU}/scaling_max_freq"), "1984000\n");
    let _guard = Guard::claim(&place, &mut domains(&place)).unwrap();
    assert_eq!(rows(&place)[0].fix.as_deref(), Some("e4 restore"));
    assert!(
        recover(&place.runtime_dir, None)
            .unwrap()
            .iter()
            .all(|r| !r.is_done())
    );
}
