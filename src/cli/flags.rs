//! Flags of `e4 run`, made from the table of settings.

use crate::config::{Config, ConfigError, KEYS, Key, Layers};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, error};
use std::ffi::OsString;
use std::marker::PhantomData;
use std::path::PathBuf;

const CONFIG: &str = "config";
const PRINT: &str = "print-config";

/// What the command line of `e4 run` says.
#[derive(Clone, Debug, Default)]
pub struct RunArgs {
    /// Config file.
    pub config: Option<PathBuf>,
    /// Print the configuration and end.
    pub print_config: bool,
    /// Flags that were given, with their text, in the table's order.
    pub settings: Vec<(&'static Key, OsString)>,
}

impl RunArgs {
    /// Defaults, the file, then the flags.
    ///
    /// # Errors
    /// When the file or a flag is not right.
    pub fn layers(&self) -> Result<Layers, ConfigError> {
        let mut layers = Layers::default();
        if let Some(file) = &self.config {
            layers.file(file)?;
        }
        for (key, text) in &self.settings {
            layers.flag(key, text)?;
        }
        Ok(layers)
    }
}

impl Args for RunArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(ValueParser::path_buf())
            .help("Read settings from this TOML file; flags win over it");
        let print = Arg::new(PRINT)
            .long(PRINT)
            .action(ArgAction::SetTrue)
            .help("Print the configuration, every key with its meaning, and end");
        command.arg(config).arg(print).args(setting_flags(|_| true))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Which settings a command takes besides its own flags.
pub trait Subset {
    /// Their names in the file.
    const KEYS: &'static [&'static str];
}

/// Some of the settings, from `--config` and flags, for commands other than `e4 run`.
#[derive(Clone, Debug)]
pub struct Settings<S> {
    run: RunArgs,
    subset: PhantomData<S>,
}

impl<S: Subset> Settings<S> {
    /// Defaults, the file, then the flags.
    ///
    /// # Errors
    /// When the file or a flag is not right.
    pub fn config(&self) -> Result<Config, ConfigError> {
        self.run.layers()?.finish()
    }

    fn wants(key: &Key) -> bool {
        S::KEYS.contains(&key.name)
    }
}

impl<S: Subset> Args for Settings<S> {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(ValueParser::path_buf())
            .help("Take settings from this configuration of e4 run; flags win over it");
        let flags = setting_flags(Self::wants).map(|flag| flag.hide_short_help(false));
        command.arg(config).args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Subset> FromArgMatches for Settings<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, error::Error> {
        Ok(Self {
            run: RunArgs {
                config: matches.get_one::<PathBuf>(CONFIG).cloned(),
                print_config: false,
                settings: given(matches, Self::wants),
            },
            subset: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), error::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Flags of the settings for which `wanted` holds.
pub(super) fn setting_flags(wanted: impl Fn(&Key) -> bool) -> impl Iterator<Item = Arg> {
    KEYS.iter().filter(move |key| wanted(key)).map(flag)
}

/// Those of them that were given, with their text.
pub(super) fn given(
    matches: &ArgMatches,
    wanted: impl Fn(&Key) -> bool,
) -> Vec<(&'static Key, OsString)> {
    let keys = KEYS.iter().filter(|key| wanted(key));
    keys.filter_map(|key| Some((key, matches.get_one::<OsString>(key.name)?.clone())))
        .collect()
}

fn flag(key: &'static Key) -> Arg {
    let arg = Arg::new(key.name)
        .long(key.flag)
        .value_parser(ValueParser::os_string())
        .help(key.doc)
        .help_heading(heading(key))
        .hide_short_help(!key.common);
    match key.hint() {
        Some(hint) => arg.value_name(hint),
        None => arg
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}

fn heading(key: &Key) -> &'static str {
    match key.split().0 {
        "source" => "Source",
        "source.camera" => "Camera",
        "source.generator" => "Generator",
        "engine" | "bundle" | "exit" => "Network",
        "clocks" | "dvfs" => "Clocks",
        "power" => "Energy",
        "sink" => "Output",
        "rt" => "Real time",
        _ => "Threads",
    }
}

impl FromArgMatches for RunArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, error::Error> {
        Ok(Self {
            config: matches.get_one::<PathBuf>(CONFIG).cloned(),
            print_config: matches.get_flag(PRINT),
            settings: given(matches, |_| true),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), error::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OutputTo, SourceKind};
    use crate::gates::ExitPolicy;

    fn parse(words: &[&str]) -> Result<RunArgs, error::Error> {
        let command = RunArgs::augment_args(Command::new("run").no_binary_name(true));
        RunArgs::from_arg_matches(&command.try_get_matches_from(words)?)
    }

    fn config(words: &[&str]) -> Config {
        parse(words).unwrap().layers().unwrap().finish().unwrap()
    }

    #[test]
    fn clap_finds_no_fault_with_the_flags() {
        RunArgs::augment_args(Command::new("run")).debug_assert();
    }

    #[test]
    fn no_flag_is_the_default_configuration() {
        assert_eq!(config(&[]), Config::default());
    }

    #[test]
    fn the_documented_flags_reach_their_keys() {
        let config = config(&[
            "--clip",
            "clips",
            "--bundle",
            "b",
            "--exit-policy",
            "always:2",
            "--frames",
            "10",
            "--summary",
            "-",
            "--json",
            "--loop=false",
            "--output",
            "unixgram:/run/e4",
        ]);
        assert_eq!(config.source.path, Some("clips".into()));
        assert_eq!(config.bundle.path, Some("b".into()));
        assert_eq!(config.exit.policy, ExitPolicy::Always(2));
        assert_eq!(config.source.frames, std::num::NonZeroU64::new(10));
        assert!(config.sink.summary_on_stdout() && config.sink.lines_on_stdout());
        assert!(!config.source.repeat);
        assert_eq!(config.sink.output, OutputTo::Datagram("/run/e4".into()));
        let live = self::config(&["--source", "generator", "--seed", "4", "--loop"]);
        assert_eq!(live.source.kind, SourceKind::Generator);
        assert_eq!(live.source.generator.seed, 4);
        assert!(live.source.repeat);
    }

    #[test]
    fn a_path_need_not_be_text_and_all_else_has_to() {
        use std::os::unix::ffi::OsStringExt;
        let word = || OsString::from_vec(vec![b'a', 0xFF, b'.', b'y']);
        let parse = |flag: &str| {
            let command = RunArgs::augment_args(Command::new("run").no_binary_name(true));
            let words = [flag.into(), word()];
            let matches = command.try_get_matches_from(words).unwrap();
            RunArgs::from_arg_matches(&matches).unwrap().layers()
        };
        let config = parse("--clip").unwrap().finish().unwrap();
        assert_eq!(config.source.path, Some(word().into()));
        let error = parse("--exit-policy").unwrap_err().to_string();
        assert!(error.contains("--exit-policy"), "{error}");
    }

    #[test]
    fn flags_win_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("e4.toml");
        std::fs::write(
            &file,
            "[exit]\npolicy = \"always:1\"\n[pipeline]\nslots = 9",
        )
        .unwrap();
        let config = config(&["--config", file.to_str().unwrap(), "--exit-policy", "gates"]);
        assert_eq!(config.exit.policy, ExitPolicy::Gates);
        assert_eq!(config.pipeline.slots, 9);
    }

    #[test]
    fn every_setting_has_a_flag_with_help() {
        let mut command = RunArgs::augment_args(Command::new("run"));
        let help = command.render_long_help().to_string();
        for key in KEYS {
            assert!(help.contains(&format!("--{}", key.flag)), "{}", key.flag);
        }
        let short = command.render_help().to_string();
        assert!(
            short.contains("--clip") && !short.contains("--gate-priority"),
            "{short}"
        );
    }

    #[test]
    fn a_flag_that_is_given_twice_or_unknown_is_a_usage_error() {
        for words in [
            &["--clip", "a", "--clip", "b"][..],
            &["--clp", "a"],
            &["--clip"],
        ] {
            assert_eq!(parse(words).unwrap_err().exit_code(), 2);
        }
    }
}
