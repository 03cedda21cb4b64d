//! Clocks are set, limited by others and refused.

use super::*;

pub(super) fn every_point() -> Verdict {
    load_drivers()?;
    let before = files();
    let (guard, mut found) = held()?;
    let mut count = 0;
    for domain in &mut found.domains {
        let domain = domain.as_mut();
        let opps: Vec<_> = domain.opps().iter().collect();
        for &opp in opps.iter().chain(opps.iter().rev()) {
            let first = domain.set(opp);
            let outcome = settle(domain, now_ns() + 5_000_000_000);
            // A clock that only repeats the wish does so at the next tick.
            let shown = until("the clock", MINUTE, || {
                domain.now().is_ok_and(|now| now.khz == opp.khz())
            });
            ensure!(
                is_taken(domain, outcome) && shown.is_ok(),
                "{} to {}: {first:?}, then {outcome:?} at {:?}",
                domain.name(),
                opp.khz(),
                domain.now()
            );
            count += 1;
        }
        let off = Khz(opps[0].khz().0 + 1);
        ensure!(domain.opps().at(off).is_none(), "{off} can be asked for");
        println!(
            "{}: {} points, measured: {}",
            domain.name(),
            opps.len(),
            domain.now()?.measured
        );
    }
    given_back(&guard.give_back())?;
    ensure!(files() == before, "{before:?} became {:?}", files());
    println!("{count} settings read back");
    Ok(())
}

pub(super) fn unprivileged() -> Verdict {
    if role().is_none() {
        load_drivers()?;
        // The guest's root folder is root's alone.
        std::fs::set_permissions("/", std::fs::Permissions::from_mode(0o755))?;
        let status = again("guard_unprivileged_is_refused", "nobody")?.wait()?;
        ensure!(status.success(), "see above");
        return Ok(());
    }
    if let Err(error) = as_nobody() {
        println!("{error:#}");
        // Nobody may not write the reason where the runner reads it.
        std::process::exit(1);
    }
    Ok(())
}

fn as_nobody() -> Verdict {
    let nobody = nix::unistd::Uid::from_raw(65534);
    nix::unistd::setuid(nobody)?;
    let place = Place {
        runtime_dir: "/tmp/e4-nobody".into(),
        ..place()
    };
    let row = rows(&place).into_iter().find(|row| row.domain == "cpu0");
    let row = row.context("no row for cpu0")?;
    ensure!(!row.writable && row.fix.is_some(), "{row:?}");
    println!("doctor: {:?}, fix: {:?}", row.problem, row.fix);
    let mut found = discover(&place.tree);
    let guard = Guard::claim(&place, &mut found.domains)?;
    let outcome = {
        let cpu = cpu(&mut found)?;
        let lowest = cpu.opps().lowest();
        cpu.set(lowest)
    };
    let denied = Refusal::System(Errno::EACCES);
    ensure!(
        matches!(outcome, Outcome::Refused { why, .. } if why == denied),
        "{outcome:?}"
    );
    drop(guard);
    let refused = Guard::claim(&super::place(), &mut found.domains);
    let Err(error) = refused else {
        bail!("/run/e4 can be written to by nobody");
    };
    ensure!(error.to_string().contains("--runtime-dir"), "{error}");
    Ok(())
}

/// A tree whose memory clock is set through a file of cpufreq that takes nothing
/// outside the userspace governor.
pub(super) fn einval() -> Verdict {
    load_drivers()?;
    let emc = PathBuf::from("/tmp/board/sys/kernel/debug/clk/override.emc");
    std::fs::create_dir_all(&emc)?;
    write(emc.join("clk_possible_rates"), "204000000 408000000\n")?;
    write(emc.join("clk_rate"), "204000000\n")?;
    write(emc.join("clk_state"), "0\n")?;
    let speed = format!("{POLICY}/scaling_setspeed");
    std::os::unix::fs::symlink(speed, emc.join("clk_update_rate"))?;
    let place = Place {
        runtime_dir: "/tmp/e4".into(),
        tree: Tree::new("/tmp/board"),
    };
    let mut found = discover(&place.tree);
    let _guard = Guard::claim(&place, &mut found.domains)?;
    let emc = found.find("emc").context("no emc")?;
    let highest = emc.opps().highest();
    let outcome = emc.set(highest);
    let invalid = Refusal::System(Errno::EINVAL);
    ensure!(
        matches!(outcome, Outcome::Refused { why, .. } if why == invalid),
        "{outcome:?}"
    );
    Ok(())
}

pub(super) fn late_and_gone() -> Verdict {
    let none = discover(&place().tree);
    ensure!(
        none.find_kind(DomainKind::Cpu).is_none(),
        "a policy without a driver"
    );
    println!("{}", none.absent[0].reason);
    let late = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(500));
        load_drivers()
    });
    let found = discover_within(&place().tree, &[DomainKind::Cpu], MINUTE);
    late.join().expect("it does not panic")?;
    ensure!(found.find_kind(DomainKind::Cpu).is_some(), "no policy came");
    let (guard, mut found) = held()?;
    pin(cpu(&mut found)?, false)?;
    unload(driver())?;
    let cpu = cpu(&mut found)?;
    let highest = cpu.opps().highest();
    let outcome = cpu.set(highest);
    ensure!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
    println!("after the driver is gone: {outcome:?}");
    let reports = guard.give_back();
    ensure!(reports.iter().all(Report::is_done), "{reports:?}");
    let gone = reports.iter().flat_map(|r| &r.files);
    ensure!(
        gone.clone().any(|file| file.action == Action::Gone),
        "{reports:?}"
    );
    Ok(())
}

pub(super) fn clamped_by_another() -> Verdict {
    let (guard, mut found) = held()?;
    let cpu = cpu(&mut found)?;
    pin(cpu, true)?;
    let lower = cpu.opps().below_highest(1);
    let max = format!("{POLICY}/scaling_max_freq");
    write(&max, &lower.raw().to_string())?;
    let clamped = Outcome::Clamped {
        to: lower.khz(),
        by: Limiter::Other,
    };
    until("the lower limit", MINUTE, || cpu.check() == clamped)?;
    ensure!(cpu.allowed().highest == lower.khz(), "{:?}", cpu.allowed());
    let highest = cpu.opps().highest();
    ensure!(
        cpu.set(highest) == clamped,
        "another process's limit is gone over"
    );
    write(&max, &highest.raw().to_string())?;
    ensure!(cpu.allowed().by.is_none(), "{:?}", cpu.allowed());
    pin(cpu, true)?;
    given_back(&guard.give_back())
}

pub(super) fn throttled() -> Verdict {
    load_thermal()?;
    let (guard, mut found) = held()?;
    let cpu = cpu(&mut found)?;
    pin(cpu, true)?;
    registers::set_temperature(80)?;
    let hot = until("throttling at 80 C", MINUTE, || {
        matches!(
            cpu.check(),
            Outcome::Clamped {
                by: Limiter::Thermal,
                ..
            }
        )
    })?;
    let allowed = cpu.allowed();
    ensure!(allowed.by == Some(Limiter::Thermal), "{allowed:?}");
    println!("{hot:.1?}: {:?}, allowed {allowed:?}", cpu.check());
    registers::set_temperature(40)?;
    let cool = until("release at 40 C", MINUTE, || {
        let outcome = cpu.check();
        is_taken(cpu, outcome) && cpu.allowed().by.is_none()
    })?;
    println!("{cool:.1?}: {:?}", cpu.check());
    given_back(&guard.give_back())
}

pub(super) fn capped_by_firmware() -> Verdict {
    load_thermal()?;
    let (guard, mut found) = held()?;
    let cpu = cpu(&mut found)?;
    pin(cpu, true)?;
    registers::set_firmware_cap(2)?;
    until("the firmware's cap", MINUTE, || {
        matches!(
            cpu.check(),
            Outcome::Clamped {
                by: Limiter::Bios,
                ..
            }
        )
    })?;
    let allowed = cpu.allowed();
    ensure!(
        allowed.highest == cpu.opps().below_highest(2).khz(),
        "{allowed:?}"
    );
    let highest = cpu.opps().highest().raw().to_string();
    given_back(&guard.give_back())?;
    registers::set_firmware_cap(0)?;
    until("full speed", MINUTE, || {
        read(format!("{POLICY}/scaling_max_freq")).is_ok_and(|max| max == highest)
    })?;
    Ok(())
}

pub(super) fn governor_taken() -> Verdict {
    let (guard, mut found) = held()?;
    let cpu = cpu(&mut found)?;
    pin(cpu, true)?;
    load("cpufreq_powersave", &[])?;
    let governor = format!("{POLICY}/scaling_governor");
    let before = read(&governor)?;
    process::output(Command::new("sh").args(["-c", &format!("echo powersave > {governor}")]))?;
    let outcome = cpu.check();
    ensure!(is_taken(cpu, outcome), "the pin holds: {outcome:?}");
    pin(cpu, false)?;
    let reports = guard.give_back();
    let left = Action::LeftAlone {
        holds: "powersave".into(),
        original: before.clone(),
    };
    let files = || reports.iter().flat_map(|r| &r.files);
    ensure!(files().any(|file| file.action == left), "{reports:?}");
    ensure!(read(&governor)? == "powersave", "it is left alone");
    write(&governor, &before)
}
