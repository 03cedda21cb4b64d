mod values;

use super::*;
use crate::rt::SchedClass;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::from_toml(text, "e4.toml").map_err(|error| error.to_string())
}

fn refused(text: &str) -> String {
    parse(text).expect_err("must be refused")
}

/// A valid value for every key, none of them the default.
fn other(key: &str) -> &'static str {
    match key {
        "source.kind" => "generator",
        "source.path" => "clips/a.y4m",
        "source.loop" | "sink.json" => "true",
        "source.frames" => "7",
        "source.pace" => "realtime",
        "source.policy" => "newest",
        "source.sample" | "pipeline.speculate" => "false",
        "source.raw_format" => "nv12",
        "source.raw_width" | "source.generator.width" => "64",
        "source.raw_height" | "source.generator.height" => "48",
        "source.raw_fps" | "source.generator.fps" => "12.5",
        "source.ffmpeg" => "/opt/ffmpeg",
        "source.ffmpeg_timeout_s" => "1.5",
        "source.camera.device" => "/dev/video7",
        "source.camera.formats" => "nv12m,mjpg",
        "source.camera.width" => "1280",
        "source.camera.height" => "720",
        "source.camera.fps" => "15",
        "source.camera.exposure" => "10000",
        "source.camera.gain" => "auto",
        "source.camera.power_line" => "50hz",
        "source.camera.wait_s" => "0",
        "source.generator.seed" => "18446744073709551615",
        "source.generator.difficulty" => "0.25",
        "source.generator.format" => "i420",
        "engine.kind" => "native",
        "bundle.path" => "engines/tiny-e2",
        "exit.policy" => "softmax:0.9",
        "pipeline.threads" => "capture,infer+gate,sink",
        "pipeline.slots" => "8",
        "pipeline.wait" => "park",
        "pipeline.resize" => "area",
        "pipeline.watchdog_ms" => "0",
        "pipeline.lock_memory" => "true",
        "rt.cpu_dma_latency" => "20",
        "rt.timer_slack_ns" => "50000",
        "rt.prefault_heap_mib" => "16",
        "clocks.runtime_dir" => "/tmp/e4",
        "clocks.sysfs_root" => "/tmp/board",
        "power.sensor" => "ina3221",
        "power.board" => "agx-orin",
        "power.rails" => "VDD_IN+VDD_SOC",
        "power.per_frame" => "true",
        "dvfs.mode" => "observe",
        "dvfs.plan" => "plan.toml",
        "dvfs.transitions" => "transitions.json",
        "dvfs.objective" => "edp",
        "dvfs.deadline_ms" => "33.25",
        "dvfs.power_cap_w" => "12.5",
        "dvfs.spread" => "1.5",
        "dvfs.budget" => "24",
        "sink.output" => "unixgram:/run/e4.sock",
        "sink.summary" => "-",
        "sink.trace" => "trace.jsonl",
        "sink.status" => "never",
        key if key.ends_with(".core") => "1",
        key if key.ends_with(".class") => "fifo",
        key if key.ends_with(".priority") => "50",
        key if key.ends_with(".wait") => "park",
        key if key.ends_with(".on_error") => "strict",
        _ => panic!("no value for {key}"),
    }
}

fn set(config: &mut Config, key: &Key, text: &str) {
    (key.set)(config, &value::Value::Text(text)).unwrap();
}

#[test]
fn the_printed_default_reads_back_as_the_default() {
    assert_eq!(parse(&Config::default().print()), Ok(Config::default()));
    assert_eq!(parse(""), Ok(Config::default()));
}

#[test]
fn every_key_is_printed_with_its_flag() {
    let text = Config::default().print();
    for key in KEYS {
        assert!(text.contains(&format!("[--{}]", key.flag)), "{}", key.name);
        assert!(
            text.contains(&format!("{} = ", key.split().1)),
            "{}",
            key.name
        );
    }
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
}

#[test]
fn keys_and_flags_are_unique() {
    for (index, key) in KEYS.iter().enumerate() {
        for later in &KEYS[index + 1..] {
            assert_ne!(key.name, later.name);
            assert_ne!(key.flag, later.flag);
        }
    }
}

#[test]
fn every_value_survives_printing_and_reading() {
    for key in KEYS {
        let mut config = Config::default();
        set(&mut config, key, other(key.name));
        let mut layers = Layers::default();
        layers.text(&config.print(), "e4.toml").unwrap();
        assert_eq!(*layers.unchecked(), config, "{}", key.name);
    }
}

#[test]
fn every_flag_wins_over_its_key() {
    for key in KEYS {
        let mut layers = Layers::default();
        layers.text(&Config::default().print(), "e4.toml").unwrap();
        let before = (key.show)(layers.unchecked());
        layers.flag(key, other(key.name)).unwrap();
        assert_ne!((key.show)(layers.unchecked()), before, "{}", key.name);
        assert_eq!(layers.place(key.name), Place::Flag { flag: key.flag });
    }
}

#[test]
fn unknown_keys_name_file_line_and_the_nearest_known_one() {
    let cases = [
        (
            "[source]\npace = \"fast\"\nloops = true",
            "e4.toml:3: unknown key source.loops; the nearest known one is source.loop",
        ),
        (
            "[sauce]\nkind = \"clip\"",
            "e4.toml:1: unknown key sauce; the nearest known one is source",
        ),
        (
            "[pipeline]\nexit_policy = 1",
            "e4.toml:2: unknown key pipeline.exit_policy; the nearest known one is exit.policy",
        ),
        (
            "stage.infer.cores = 1",
            "e4.toml:1: unknown key stage.infer.cores; the nearest known one is stage.infer.core",
        ),
        (
            "stage.inferr.core = 1",
            "e4.toml:1: unknown key stage.inferr; the nearest known one is stage.infer",
        ),
        (
            "[sink]\nseed = 4",
            "e4.toml:2: unknown key sink.seed; the nearest known one is source.generator.seed",
        ),
        (
            "clip = \"x\"",
            "e4.toml:1: unknown key clip; the nearest known one is source.path",
        ),
        (
            "[source]\nclip = \"x\"",
            "e4.toml:2: unknown key source.clip; the nearest known one is source.path",
        ),
        (
            "raw-hight = 4",
            "e4.toml:1: unknown key raw-hight; the nearest known one is source.raw_height",
        ),
        ("[source]\n\n\"\" = 1", "e4.toml:3: unknown key source."),
    ];
    for (text, wanted) in cases {
        let got = refused(text);
        assert!(got.starts_with(wanted), "{got}\n{wanted}");
    }
}

#[test]
fn a_word_in_place_of_a_section_is_its_kind() {
    let short = parse("engine = \"native\"").unwrap();
    assert_eq!(short, parse("[engine]\nkind = \"native\"").unwrap());
    assert_eq!(short.engine.kind, crate::config::EngineKind::Native);
    assert_eq!(
        refused("engine = \"gpu\""),
        "e4.toml:1: engine: \"gpu\" is not one of auto, native, tract, ort, cpu"
    );
}

#[test]
fn text_that_is_not_toml_names_the_line_in_one_sentence() {
    for text in [
        "[source]\nkind = ",
        "[source",
        "\u{0}",
        "a = 1\na = 2",
        "[source]\nkind = 'clip'\n[source]",
    ] {
        let error = refused(text);
        assert!(error.starts_with("e4.toml:"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(std::path::Path::new("/nowhere/e4.toml")).unwrap_err();
    assert!(
        error.to_string().starts_with("/nowhere/e4.toml: "),
        "{error}"
    );
}

#[test]
fn a_flag_names_itself_in_errors() {
    let mut layers = Layers::default();
    let key = Key::named("source.generator.fps").unwrap();
    let error = layers.flag(key, "many").unwrap_err();
    assert_eq!(error.to_string(), "--fps: \"many\" is not a number");
    layers
        .flag(Key::named("source.kind").unwrap(), "generator")
        .unwrap();
    layers.flag(key, "0").unwrap();
    let error = layers.finish().unwrap_err();
    assert_eq!(error.to_string(), "--fps: must be from 0.001 to 1000");
}

fn with_flags(text: &str, flags: &[(&str, &str)]) -> Result<Config, String> {
    let mut layers = Layers::default();
    layers.text(text, "e4.toml").unwrap();
    for (name, value) in flags {
        layers.flag(Key::named(name).unwrap(), value).unwrap();
    }
    layers.finish().map_err(|error| error.to_string())
}

#[test]
fn a_clip_flag_wins_over_a_generator_in_the_file() {
    let file = "[source]\nkind = \"generator\"";
    let config = with_flags(file, &[("source.path", "a.y4m")]).unwrap();
    assert_eq!(config.source.kind, SourceKind::Clip);
    let config = with_flags("[source]\npath = \"a\"", &[("source.kind", "generator")]).unwrap();
    assert_eq!(config.source.kind, SourceKind::Generator);
}

#[test]
fn contradictions_are_refused_not_ignored() {
    let both = [("source.path", "a.y4m"), ("source.kind", "generator")];
    assert_eq!(
        with_flags("", &both).unwrap_err(),
        "--clip: the generator reads no clip; drop this or the source's kind"
    );
    assert_eq!(
        with_flags("", &[("source.generator.seed", "4")]).unwrap_err(),
        "--seed: only the generator knows it; add --source generator"
    );
}

#[test]
fn the_pace_follows_the_source_unless_set() {
    assert!(!Config::default().source.realtime());
    assert!(
        parse("[source]\nkind = \"generator\"")
            .unwrap()
            .source
            .realtime()
    );
    assert!(
        parse("[source]\npace = \"realtime\"")
            .unwrap()
            .source
            .realtime()
    );
    let fast = "[source]\nkind = \"generator\"\npace = \"fast\"";
    assert!(!parse(fast).unwrap().source.realtime());
}

fn place(text: &str, cores: &[usize]) -> Result<Vec<(String, Option<usize>, bool)>, String> {
    let mut layers = Layers::default();
    layers.text(text, "e4.toml").map_err(|e| e.to_string())?;
    let placement = layers.placement(cores).map_err(|e| e.to_string())?;
    Ok(placement
        .threads()
        .iter()
        .map(|t| {
            let stages: Vec<_> = t.stages.iter().map(|s| s.name()).collect();
            (stages.join("+"), t.core, placement.shares_core(t.stages[0]))
        })
        .collect())
}

fn thread(stages: &str, core: usize, shared: bool) -> (String, Option<usize>, bool) {
    (stages.to_owned(), Some(core), shared)
}

#[test]
fn the_default_placement_follows_the_number_of_cores() {
    assert_eq!(
        place("", &[5]),
        Ok(vec![thread("capture+infer+gate+sink", 5, false)])
    );
    for cores in [&[0, 1][..], &[0, 1, 2]] {
        let wanted = vec![
            thread("capture", 0, true),
            thread("infer", 1, false),
            thread("gate", 0, true),
            thread("sink", 0, true),
        ];
        assert_eq!(place("", cores), Ok(wanted));
    }
    let wanted = ["capture", "infer", "gate", "sink"];
    let wanted: Vec<_> = (4..8)
        .zip(wanted)
        .map(|(core, s)| thread(s, core, false))
        .collect();
    assert_eq!(place("", &[4, 5, 6, 7, 8]), Ok(wanted));
    for cores in [&[3][..], &[0, 1], &[0, 1, 2, 3]] {
        let by_config = Config::default().placement(cores).unwrap();
        assert_eq!(default_placement(cores), by_config);
    }
}

#[test]
fn a_core_given_by_number_is_left_to_its_stage() {
    let text = "stage.infer.core = 0";
    let got = place(text, &[0, 1]).unwrap();
    assert_eq!(got[1], thread("infer", 0, false));
    assert!(
        got.iter()
            .filter(|t| t.0 != "infer")
            .all(|t| t.1 == Some(1))
    );
    let got = place("[stage]\ncapture.core = 0\ninfer.core = 1", &[0, 1]).unwrap();
    assert_eq!(got[1], thread("infer", 1, false));
    assert!(got[2].1 == Some(0) && got[3].1 == Some(0), "{got:?}");
    let got = place(
        "[pipeline]\nthreads = [[\"capture\"], [\"infer\", \"gate\"], [\"sink\"]]\n[stage]\ngate.core = 1",
        &[0, 1],
    );
    assert_eq!(
        got,
        Ok(vec![
            thread("capture", 0, true),
            thread("infer+gate", 1, false),
            thread("sink", 0, true)
        ])
    );
}

#[test]
fn placements_that_cannot_be_are_refused_by_key() {
    let fused = "[pipeline]\nthreads = [[\"capture\", \"infer\", \"gate\", \"sink\"]]\n";
    let cases = [
        (
            "stage.infer.core = 9".to_owned(),
            "e4.toml:1: stage.infer.core: core 9 is not among those that this process may use (0, 1)",
        ),
        (
            format!("{fused}[stage]\ninfer.core = 0\nsink.core = 1"),
            "e4.toml:5: stage.sink.core: differs from stage.infer.core, which runs on the same thread",
        ),
        (
            "[pipeline]\nwait = \"spin\"".to_owned(),
            "e4.toml:2: pipeline.wait: the capture thread would spin on a core that it shares with another; use hybrid or park, or give each thread a core of its own",
        ),
        (
            format!("{fused}wait = \"spin\"\n[stage]\ninfer.class = \"fifo\""),
            "e4.toml:3: pipeline.wait: the capture thread would spin in a real-time class, which the kernel stalls for tens of milliseconds; use hybrid or park, or class other",
        ),
        (
            "stage.sink.wait = \"spin\"".to_owned(),
            "e4.toml:1: stage.sink.wait: the sink thread would spin on a core that it shares with another; use hybrid or park, or give each thread a core of its own",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(place(&text, &[0, 1]).unwrap_err(), wanted);
    }
    assert!(place("stage.infer.wait = \"spin\"", &[0, 1]).is_ok());
    assert!(place(&format!("{fused}wait = \"spin\""), &[0, 1]).is_ok());
    assert!(place("pipeline.wait = \"spin\"", &[0, 1, 2, 3]).is_ok());
}

#[test]
fn a_thread_takes_class_and_priority_from_any_of_its_stages() {
    let text = "pipeline.threads = \"capture,infer+gate,sink\"\n\
        [stage]\ngate = { class = \"rr\", priority = 40 }";
    let placement = parse(text).unwrap().placement(&[0, 1]).unwrap();
    let classes: Vec<_> = placement.threads().iter().map(|t| t.class).collect();
    let rr = SchedClass::RoundRobin(40);
    assert_eq!(classes, [SchedClass::Other, rr, SchedClass::Other]);
}

#[test]
fn one_setting_asks_for_real_time_in_the_order_of_urgency() {
    let config = parse("rt.class = \"fifo\"").unwrap();
    assert!(config.lock_memory());
    assert_eq!(config.cpu_latency_us(), Some(0));
    let placement = config.placement(&[0, 1]).unwrap();
    let classes: Vec<_> = placement.threads().iter().map(|t| t.class).collect();
    assert_eq!(classes, [40, 25, 35, 30].map(SchedClass::Fifo));
    let fused = config.placement(&[0]).unwrap();
    assert_eq!(fused.threads()[0].class, SchedClass::Fifo(40));

    let config = parse(
        "pipeline.lock_memory = false\n[rt]\nclass = \"rr\"\ncpu_dma_latency = 50\n\
         [stage]\ninfer = { class = \"other\", on_error = \"strict\" }",
    )
    .unwrap();
    assert!(!config.lock_memory());
    assert_eq!(config.cpu_latency_us(), Some(50));
    let placement = config.placement(&[0, 1]).unwrap();
    let infer = &placement.threads()[1];
    assert_eq!(infer.class, SchedClass::Other);
    assert_eq!(infer.on_error, Some(OnError::Strict));
    assert_eq!(placement.threads()[0].on_error, None);

    assert!(!Config::default().lock_memory());
    assert_eq!(Config::default().cpu_latency_us(), None);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_key_makes_the_suggestion_panic(key in "[a-z_é]{0,12}(\\.[a-zß]{1,6}){0,3}", value in -9i64..9) {
        let _ = parse(&format!("{key} = {value}"));
    }

    #[test]
    fn strange_paths_survive_printing(path in "[^\u{0}]{1,20}") {
        let mut config = Config::default();
        config.source.path = Some(path.clone().into());
        prop_assert_eq!(parse(&config.print()), Ok(config));
    }
}
