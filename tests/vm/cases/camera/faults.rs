//! Each fault that the virtual camera can show: the source reports it once,
//! counts it, and delivers frames again within two seconds (median of five).

use super::watch::{Watch, options, within_two_seconds};
use crate::case::{Case, Outcome};
use crate::guest::camera::{DEVICE, DRIVER, Vivid};
use crate::guest::process::e4;
use crate::guest::{bind, read, unbind, until};
use anyhow::{Context, Result, ensure};
use e4::source::FrameSource;
use e4::source::v4l2::Camera;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    Case::new("camera_fault_dropped_buffers", dropped_buffers),
    Case::new("camera_fault_error_flag", error_flag),
    Case::new("camera_fault_qbuf", qbuf),
    Case::new("camera_fault_reqbufs", reqbufs),
    Case::new("camera_fault_streamon", streamon),
    Case::new("camera_fault_fatal", fatal),
    Case::new("camera_fault_disconnect", disconnect),
    Case::new("camera_fault_unbind_bind", unbind_bind),
    Case::new("camera_fault_other_number", other_number),
    Case::new("camera_fault_sequence_wrap", sequence_wrap),
    Case::new("camera_fault_timestamp_wrap", timestamp_wrap),
    Case::new("camera_follows_its_source", source_change),
    Case::new("camera_fault_second_opener", second_opener),
    Case::new("camera_fault_busy_at_start", busy_at_start),
    Case::new("camera_fault_gone_at_start", gone_at_start),
];

const ROUNDS: usize = 5;

fn dropped_buffers() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let watch = Watch::start(options(&vivid.node, "yuyv"));
    watch.frames(3)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        vivid.set("percentage_of_dropped_buffers", 60)?;
        let began = Instant::now();
        times.push(watch.frame_after(began)? - began);
        watch.frames(10)?;
    }
    vivid.set("percentage_of_dropped_buffers", 0)?;
    watch.frames(3)?;
    ensure!(watch.gaps("sequence") > 0, "no gap was counted");
    ensure!(
        watch.gaps("interruption") == 0,
        "a lost frame is no lost stream"
    );
    watch.stop()?;
    within_two_seconds("dropped buffers", times)
}

fn error_flag() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let watch = Watch::start(options(&vivid.node, "nv12"));
    watch.frames(3)?;
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        let began = Instant::now();
        vivid.set("inject_v4l2_buf_flag_error", 1)?;
        times.push(watch.frame_after(began)? - began);
        watch.frames(5)?;
        let counted = watch.gaps("error");
        ensure!(counted == round as u64, "{counted} of {round} errors");
    }
    watch.stop()?;
    within_two_seconds("an error flag", times)
}

/// Injects faults into a running stream that has to be started anew.
fn restarts(what: &str, controls: &[&str], format: &str, parameters: &[&str]) -> Outcome {
    let vivid = Vivid::load(parameters)?;
    let watch = Watch::start(options(&vivid.node, format));
    watch.frames(3)?;
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        let began = Instant::now();
        for control in controls {
            vivid.set(control, 1)?;
        }
        let lost = watch.said_after("stream is lost", began)?;
        let back = watch.said_after("streams again", lost)?;
        times.push(watch.frame_after(back)? - lost);
        watch.frames(3)?;
        let counted = watch.gaps("interruption");
        ensure!(
            counted == round as u64,
            "{counted} of {round} interruptions"
        );
    }
    ensure!(
        watch.times_said("stream is lost") == ROUNDS,
        "reported once each"
    );
    ensure!(watch.times_said("still lost") == 0, "reported once each");
    rises(&watch.history())?;
    watch.stop()?;
    within_two_seconds(what, times)
}

/// Numbers go on rising over an interruption, and so do times.
fn rises(history: &[(u64, u64)]) -> Result<()> {
    for pair in history.windows(2) {
        ensure!(
            pair[0].0 < pair[1].0,
            "numbers {} then {}",
            pair[0].0,
            pair[1].0
        );
        ensure!(
            pair[0].1 < pair[1].1,
            "times {} then {}",
            pair[0].1,
            pair[1].1
        );
    }
    Ok(())
}

fn qbuf() -> Outcome {
    restarts("a failing QBUF", &["inject_vidioc_qbuf_error"], "yuyv", &[])
}

fn reqbufs() -> Outcome {
    let controls = [
        "inject_vidioc_reqbufs_error",
        "inject_fatal_streaming_error",
    ];
    restarts("a failing REQBUFS", &controls, "yuyv", &[])
}

fn streamon() -> Outcome {
    let controls = [
        "inject_vidioc_streamon_error",
        "inject_fatal_streaming_error",
    ];
    restarts("a failing STREAMON", &controls, "nv12", &[])
}

fn fatal() -> Outcome {
    let fault = ["inject_fatal_streaming_error"];
    restarts(
        "a fatal streaming error",
        &fault,
        "nv12m",
        &["multiplanar=2"],
    )
}

fn disconnect() -> Outcome {
    restarts("a disconnect", &["disconnect"], "yuyv", &[])
}

fn unbind_bind() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let watch = Watch::start(options(&vivid.node, "yuyv"));
    watch.frames(3)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        unbind(DRIVER, DEVICE)?;
        watch.said_after("stream is lost", began)?;
        std::thread::sleep(Duration::from_millis(300));
        bind(DRIVER, DEVICE)?;
        let returned = Instant::now();
        let back = watch.said_after("streams again", began)?;
        times.push(watch.frame_after(back)?.saturating_duration_since(returned));
        watch.frames(3)?;
    }
    rises(&watch.history())?;
    watch.stop()?;
    within_two_seconds("unbind and bind", times)
}

/// Frames that are held keep the old node's number taken: the device comes back
/// under another one, and the frames stay what they were.
fn other_number() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let watch = Watch::start(options(&vivid.node, "yuyv"));
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(returns_elsewhere(&watch)?);
    }
    watch.stop()?;
    within_two_seconds("a return under another number", times)
}

fn returns_elsewhere(watch: &Watch) -> Result<Duration> {
    let before = Vivid::wait()?.node;
    watch.hold(2);
    watch.frames(4)?;
    let sums = watch.held_sums();
    ensure!(sums.len() == 2, "{} frames are held", sums.len());
    let began = Instant::now();
    unbind(DRIVER, DEVICE)?;
    watch.said_after("stream is lost", began)?;
    ensure!(
        watch.held_sums() == sums,
        "a held frame changed with the unplugging"
    );
    bind(DRIVER, DEVICE)?;
    let returned = Instant::now();
    let back = watch.said_after("streams again", began)?;
    let time = watch.frame_after(back)?.saturating_duration_since(returned);
    let after = Vivid::wait()?.node;
    ensure!(after != before, "the device kept its number");
    watch.frames(10)?;
    ensure!(
        watch.held_sums() == sums,
        "a held frame changed with the return"
    );
    watch.hold(0);
    watch.frames(10)?;
    println!("{} came back as {}", before.display(), after.display());
    Ok(time)
}

fn sequence_wrap() -> Outcome {
    let vivid = Vivid::load(&[])?;
    vivid.set("wrap_sequence_number", 1)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let watch = Watch::start(options(&vivid.node, "grey"));
        // The driver begins 128 before the wrap.
        watch.frames(140)?;
        let (lost, back) = (watch.gaps("sequence"), watch.gaps("sequence_back"));
        println!("140 frames: {lost} lost, {back} back");
        ensure!(
            lost < 100_000,
            "{lost} frames lost: a wrap was taken for a gap"
        );
        let history = watch.history();
        rises(&history)?;
        times.push(longest_wait(&history, 100)?);
        watch.stop()?;
    }
    within_two_seconds("sequence numbers that wrap", times)
}

/// Longest time without a frame behind frame `from` of those that came.
fn longest_wait(history: &[(u64, u64)], from: usize) -> Result<Duration> {
    let waits = history.windows(2).skip(from);
    let longest = waits.map(|pair| pair[1].1 - pair[0].1).max();
    longest
        .map(Duration::from_nanos)
        .ok_or_else(|| anyhow::anyhow!("no frame came behind the wrap"))
}

/// Stamps that begin near the end of 63 bits, or of 31 bits of seconds: no time of
/// ours, so the time of the dequeue stands in, and the jump is counted once. (The
/// case that streams a minute goes over the end.)
fn timestamp_wrap() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let kind = i64::try_from(round % 2)? + 1;
        vivid.set("wrap_timestamp", kind)?;
        let began = Instant::now();
        let watch = Watch::start(options(&vivid.node, "yuyv"));
        times.push(watch.frames(1)? - began);
        watch.frames(20)?;
        ensure!(
            watch.gaps("timestamp_jump") > 0,
            "kind {kind} was not noticed"
        );
        let now = e4::monotonic::now_ns();
        let history = watch.history();
        let ours = history.iter().all(|&(_, time)| time <= now);
        ensure!(ours, "a time that is not of our clock");
        rises(&history)?;
        watch.stop()?;
    }
    within_two_seconds("stamps that wrap", times)
}

/// A source whose signal changes is negotiated with anew.
fn source_change() -> Outcome {
    let vivid = Vivid::load(&["input_types=0x3"])?;
    let watch = Watch::start(options(&vivid.node, "yuyv"));
    watch.frames(3)?;
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let began = Instant::now();
        vivid.set("dv_timings_signal_mode", i64::try_from((round + 1) % 2)?)?;
        let lost = watch.said_after("picture's size has changed", began)?;
        let back = watch.said_after("streams again", lost)?;
        times.push(watch.frame_after(back)? - lost);
        watch.frames(3)?;
    }
    watch.stop()?;
    within_two_seconds("a change of the source", times)
}

fn second_opener() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let watch = Watch::start(options(&vivid.node, "yuyv"));
    watch.frames(3)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut wanted = options(&vivid.node, "yuyv");
        wanted.wait_ns = 0;
        let other = Camera::new(wanted).start(2, &|| true);
        let words = other.err().context("two stream from one camera")?;
        ensure!(words.to_string().contains("in use"), "{words}");
        times.push(watch.frame_after(began)? - began);
    }
    let refused = opener(&vivid.node.to_string_lossy())?;
    println!("{}", refused.trim());
    let pid = format!("process {} (", std::process::id());
    ensure!(refused.contains(&pid), "{pid} is not named");
    ensure!(
        watch.gaps("interruption") == 0,
        "the second opener disturbed us"
    );
    watch.stop()?;
    within_two_seconds("a second opener", times)
}

/// What `e4 run` says of a camera that it cannot have.
fn opener(node: &str) -> Result<String> {
    let said = e4(&["run", "--source", "camera", "--device", node])
        .args(["--camera-wait=0", "--frames=1"])
        .args(["--bundle", "/engines/tiny-e2"])
        .output()?;
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    let code = said.status.code();
    ensure!(
        !words.contains("in use") || code == Some(2),
        "exit code {code:?}"
    );
    Ok(words)
}

/// The other way round: somebody else has the camera first.
fn busy_at_start() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        times.push(released(&vivid, round == 0)?);
    }
    within_two_seconds("a busy device", times)
}

/// From the release by another program to our first frame.
fn released(vivid: &Vivid, with_words: bool) -> Result<Duration> {
    let node = vivid.node.to_string_lossy().into_owned();
    let mut holder = Command::new("v4l2-ctl")
        .args(["-d", &node, "--stream-mmap", "--stream-to=/dev/null"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    until("another's buffers", Duration::from_secs(30), || {
        let maps = read(format!("/proc/{}/maps", holder.id()));
        maps.is_ok_and(|maps| maps.contains(&node))
    })?;
    if with_words {
        let words = opener(&node)?;
        println!("{}", words.trim());
        let pid = format!("process {} (", holder.id());
        ensure!(words.contains(&pid), "{pid} is not named");
    }
    let began = Instant::now();
    let watch = Watch::start(options(&vivid.node, "yuyv"));
    watch.said_after("in use", began)?;
    holder.kill()?;
    holder.wait()?;
    let released = Instant::now();
    let time = watch.frame_after(released)? - released;
    watch.stop()?;
    Ok(time)
}

fn gone_at_start() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        unbind(DRIVER, DEVICE)?;
        let began = Instant::now();
        let watch = Watch::start(options(&vivid.node, "yuyv"));
        watch.said_after("no such device", began)?;
        bind(DRIVER, DEVICE)?;
        let returned = Instant::now();
        let first = watch.frames(1).context("after the device came")?;
        times.push(first.saturating_duration_since(returned));
        watch.stop()?;
    }
    within_two_seconds("an absence at the start", times)
}
