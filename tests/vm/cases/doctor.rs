//! `e4 doctor`: everything granted is ready; whatever is taken away is named, and
//! nothing else.

use crate::case::{Case, Outcome};
use crate::guest::camera::Vivid;
use crate::guest::process::e4;
use crate::guest::rights::{ROOT, Rights, USER};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub const CASES: &[Case] = &[
    Case::new("doctor_is_ready_with_everything_granted", ready).limit_s(120),
    Case::new("doctor_names_what_root_has_lost", root_loses).limit_s(180),
    Case::new("doctor_names_what_a_user_lacks", user_lacks).limit_s(180),
    Case::new("doctor_sees_an_isolated_core", isolated)
        .boot("isolcpus=1")
        .limit_s(120),
];

const LATENCY: &str = "/dev/cpu_dma_latency";
const BUNDLE: &str = "/engines/tiny-e2";

/// A camera and real time, and nothing done without.
const ASKED: &[&str] = &[
    "--source",
    "camera",
    "--rt-class",
    "fifo",
    "--on-error",
    "strict",
    "--capture-core",
    "0",
    "--infer-core",
    "1",
];

/// What `e4 doctor` says with these rights: state and finding by check.
fn doctor(rights: Rights, bundle: &str) -> Result<BTreeMap<String, (String, String)>> {
    let mut command = e4(&["doctor", "--json", "--bundle", bundle]);
    let done = rights.apply(command.args(ASKED)).output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    let report: Value = serde_json::from_slice(&done.stdout).with_context(|| said.into_owned())?;
    ensure!(report["schema"] == "e4.doctor/1", "{report}");
    let ready = done.status.code() == Some(0);
    ensure!(report["ready"] == ready, "{}, {report}", done.status);
    let text = |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
    let rows = report["checks"].as_array().context("no checks")?;
    let row = |check| {
        (
            text(check, "id"),
            (text(check, "state"), text(check, "found")),
        )
    };
    Ok(rows.iter().map(row).collect())
}

/// Lets `path` be used so by everybody.
fn mode(path: impl AsRef<Path>, mode: u32) -> Outcome {
    let path = path.as_ref();
    let set = fs::set_permissions(path, Permissions::from_mode(mode));
    set.with_context(|| format!("cannot change the mode of {}", path.display()))
}

/// A host as its administrator has set it up for users: they may search its
/// folders, wake cores and open the camera.
fn open_to_users(camera: &Vivid) -> Outcome {
    mode("/", 0o755)?;
    mode(LATENCY, 0o666)?;
    mode(&camera.node, 0o666)
}

fn ready() -> Outcome {
    let camera = Vivid::load(&[])?;
    open_to_users(&camera)?;
    for (who, rights) in [("root", ROOT), ("a user", USER)] {
        let rows = doctor(rights, BUNDLE)?;
        for (id, (state, found)) in &rows {
            println!("{who}: {state} {id}: {found}");
        }
        ensure!(
            rows.values().all(|(state, _)| state != "fail"),
            "{who} lacks something"
        );
        let (state, found) = rows.get("camera").context("no camera row")?;
        ensure!(state == "ok" && found.contains("vivid"), "{found}");
    }
    mode(LATENCY, 0o600)
}

/// Fails unless, after `lose`, the row `id` alone has changed, and has failed.
fn names(
    id: &str,
    words: &str,
    with: Rights,
    after: impl Fn() -> Result<(Rights, &'static str)>,
) -> Outcome {
    let before = doctor(with, BUNDLE)?;
    ensure!(
        before.values().all(|(state, _)| state != "fail"),
        "{id}: not ready before: {before:?}"
    );
    let (rights, bundle) = after()?;
    let rows = doctor(rights, bundle)?;
    let changed: Vec<_> = rows
        .iter()
        .filter(|(id, row)| before.get(*id).is_none_or(|old| old.0 != row.0))
        .collect();
    ensure!(changed.len() == 1, "{id}: {changed:?} have changed");
    let (name, (state, found)) = changed[0];
    ensure!(name == id && state == "fail", "{name} {state}: {found}");
    ensure!(found.contains(words), "{id}: {found}");
    println!("{id}: {found}");
    Ok(())
}

fn without_real_time(rights: Rights) -> Rights {
    Rights {
        real_time: false,
        ..rights
    }
}

fn without_lock(rights: Rights) -> Rights {
    Rights {
        lock_memory: false,
        ..rights
    }
}

fn root_loses() -> Outcome {
    const AWAY: &str = "/dev/away";
    let camera = Vivid::load(&[])?;
    names("rt-class", "CAP_SYS_NICE", ROOT, || {
        Ok((without_real_time(ROOT), BUNDLE))
    })?;
    names("memlock", "CAP_IPC_LOCK", ROOT, || {
        Ok((without_lock(ROOT), BUNDLE))
    })?;
    names("cores", "core 1 is not among", ROOT, || {
        let one = Rights {
            both_cores: false,
            ..ROOT
        };
        Ok((one, BUNDLE))
    })?;
    names("bundle", "CARD.md", ROOT, || Ok((ROOT, broken_bundle()?)))?;
    let gone = |id, words, node: &Path| {
        let named = names(id, words, ROOT, || {
            fs::rename(node, AWAY)?;
            Ok((ROOT, BUNDLE))
        });
        // Also after a failure: the next case needs it.
        fs::rename(AWAY, node)?;
        named
    };
    gone("cpu-dma-latency", "No such file", Path::new(LATENCY))?;
    gone("camera", "there is no camera", &camera.node)
}

fn user_lacks() -> Outcome {
    let camera = Vivid::load(&[])?;
    open_to_users(&camera)?;
    names("rt-class", "rtprio limit", USER, || {
        Ok((without_real_time(USER), BUNDLE))
    })?;
    names("memlock", "memlock limit", USER, || {
        Ok((without_lock(USER), BUNDLE))
    })?;
    for (id, node) in [
        ("camera", camera.node.as_path()),
        ("cpu-dma-latency", Path::new(LATENCY)),
    ] {
        names(id, "Permission denied", USER, || {
            mode(node, 0o000)?;
            Ok((USER, BUNDLE))
        })?;
        mode(node, 0o666)?;
    }
    mode(LATENCY, 0o600)
}

fn broken_bundle() -> Result<&'static str> {
    const BROKEN: &str = "/tmp/broken";
    fs::create_dir_all(BROKEN)?;
    for file in fs::read_dir(BUNDLE)? {
        let file = file?;
        fs::copy(file.path(), Path::new(BROKEN).join(file.file_name()))?;
    }
    fs::write(Path::new(BROKEN).join("CARD.md"), "another card")?;
    Ok(BROKEN)
}

/// Infer goes to the core that the kernel leaves alone, without being told.
fn isolated() -> Outcome {
    let done = e4(&[
        "doctor",
        "--json",
        "--bundle",
        BUNDLE,
        "--source",
        "generator",
    ])
    .output()?;
    let report: Value = serde_json::from_slice(&done.stdout)?;
    let rows = report["checks"].as_array().context("no checks")?;
    let row = |id: &str| {
        let row = rows.iter().find(|row| row["id"] == id);
        row.with_context(|| format!("no {id}"))
    };
    let (isolated, cores) = (row("isolcpus")?, row("cores")?);
    ensure!(isolated["state"] == "ok", "{isolated}");
    let placed = cores["found"].as_str().unwrap_or_default();
    ensure!(
        placed.contains("infer on 1") && placed.contains("gate on 0"),
        "{placed}"
    );
    Ok(())
}
