//! However a process ends, its clocks are given back.

use super::*;

pub(super) fn start_throttled() -> Verdict {
    load_drivers()?;
    load_thermal()?;
    let mut found = discover(&place().tree);
    let highest = cpu(&mut found)?.opps().highest().raw().to_string();
    let max = || read(format!("{POLICY}/scaling_max_freq"));
    registers::set_temperature(80)?;
    until("throttling at 80 C", MINUTE, || {
        max().is_ok_and(|max| max != highest)
    })?;
    let (guard, mut found) = held()?;
    let cpu = cpu(&mut found)?;
    let lowest = cpu.opps().lowest();
    cpu.set(lowest);
    println!("started at {} of {highest} kHz", max()?);
    given_back(&guard.give_back())?;
    registers::set_temperature(40)?;
    until("full speed after cooling", MINUTE, || {
        max().is_ok_and(|max| max == highest)
    })?;
    Ok(())
}

pub(super) fn killed() -> Verdict {
    if role().is_some() {
        let (_guard, mut found) = held()?;
        loop {
            for domain in &mut found.domains {
                for opp in domain.opps().iter().collect::<Vec<_>>() {
                    domain.set(opp);
                }
            }
        }
    }
    load_drivers()?;
    let before = files();
    let mut changed = 0;
    for run in 0..10_u64 {
        let mut child = again("guard_kill_ten_times", "victim")?;
        until("a change of clocks", MINUTE, || files() != before)?;
        std::thread::sleep(Duration::from_micros(run * 7_919 % 30_000));
        child.kill()?;
        child.wait()?;
        changed += u32::from(files() != before);
        if run % 2 == 0 {
            process::output(&mut process::e4(&["restore"]))?;
        } else {
            given_back(&recover(&place().runtime_dir, None)?)?;
        }
        ensure!(
            files() == before,
            "run {run}: {before:?} became {:?}",
            files()
        );
    }
    println!("10 killed, {changed} with changed clocks; all given back");
    Ok(())
}

pub(super) fn panicked() -> Verdict {
    if role().is_some() {
        let (_guard, mut found) = held()?;
        pin(cpu(&mut found)?, false)?;
        panic!("on purpose");
    }
    load_drivers()?;
    let before = files();
    let status = again("guard_panic_gives_back", "victim")?.wait()?;
    ensure!(!status.success(), "it did not panic");
    ensure!(files() == before, "{before:?} became {:?}", files());
    Ok(())
}

/// In an emulator speed does not follow the clock: `e4 profile` must say so and
/// fall back to read-back.
pub(super) fn transitions() -> Verdict {
    load_drivers()?;
    let before = files();
    let mut profile = process::e4(&["profile", "--transitions", "--json", "--repeat", "12"]);
    let text = process::output(&mut profile)?;
    let report: serde_json::Value = serde_json::from_str(&text)?;
    let domains = report["domains"].as_array().context("no domains")?;
    for domain in domains {
        println!("{domain}");
        let found = domain["distributions"].as_array().context("none")?;
        for read in found.iter().filter(|d| d["by"] == "read-back") {
            ensure!(read["n"] == 12, "{read}");
        }
        if domain["kind"] == "cpu" {
            ensure!(domain["speed_follows_clock"] == false, "{domain}");
        }
    }
    ensure!(files() == before, "{before:?} became {:?}", files());
    Ok(())
}
