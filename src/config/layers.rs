//! Defaults, then the file, then flags; each setting remembers where its value
//! came from, so that an error can say it.

use super::keys::{KEYS, Key};
use super::value::Value;
use super::{Config, ConfigError, SourceKind, check};
use crate::pipeline::Placement;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Longest configuration that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Where a setting's value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: it is the default.
    Default {
        /// Dotted key.
        key: String,
    },
    /// In a file.
    File {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Dotted key.
        key: String,
    },
    /// On the command line.
    Flag {
        /// Flag without its dashes.
        flag: &'static str,
    },
}

impl Place {
    /// A later layer has the higher rank.
    fn rank(&self) -> u8 {
        match self {
            Self::Default { .. } => 0,
            Self::File { .. } => 1,
            Self::Flag { .. } => 2,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default { key } => write!(f, "{key}"),
            Self::File { file, line, key } => write!(f, "{}:{line}: {key}", file.display()),
            Self::Flag { flag } => write!(f, "--{flag}"),
        }
    }
}

/// What is wrong with a setting, before it is known where that was given.
#[derive(Debug, PartialEq)]
pub(super) struct Problem {
    pub key: &'static str,
    pub reason: String,
}

/// A configuration as it is put together; later layers win.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    config: Config,
    places: BTreeMap<&'static str, Place>,
}

/// The key that a word in place of a section stands for: `engine = "native"`
/// for `engine.kind = "native"`.
fn short(section: &str, value: &DeValue<'_>) -> Option<&'static Key> {
    match value {
        DeValue::String(_) => Key::named(&format!("{section}.kind")),
        _ => None,
    }
}

impl Layers {
    /// Adds a config file.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or holds an unknown key or a bad value.
    pub fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = read(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        self.text(&text, path)
    }

    /// Adds the text of a config file; `file` names it in errors.
    ///
    /// # Errors
    /// When it is not TOML, or holds an unknown key or a bad value.
    pub fn text(&mut self, text: &str, file: impl Into<PathBuf>) -> Result<(), ConfigError> {
        let file = file.into();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            file: file.clone(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            reason: error.message().replace('\n', ", "),
        })?;
        self.table("", table.get_ref(), text, &file)
    }

    /// Adds a flag's value.
    ///
    /// # Errors
    /// When the value does not fit.
    pub fn flag(&mut self, key: &'static Key, given: impl AsRef<OsStr>) -> Result<(), ConfigError> {
        let given = given.as_ref();
        let value = given.to_str().map_or(Value::Bytes(given), Value::Text);
        self.set(key, &value, Place::Flag { flag: key.flag })
    }

    /// Checks the whole and hands it over.
    ///
    /// # Errors
    /// When a value is out of range or two settings contradict each other.
    pub fn finish(&mut self) -> Result<Config, ConfigError> {
        self.settle_source()?;
        check::check(&self.config).map_err(|problem| self.locate(problem))?;
        Ok(self.config.clone())
    }

    /// Places the stages on `cores`, the numbers of those this process may use.
    ///
    /// # Errors
    /// When the settings do not fit together or name a core that is not there.
    pub fn placement(&self, cores: &[usize]) -> Result<Placement, ConfigError> {
        super::placement::place(&self.config, cores).map_err(|problem| self.locate(problem))
    }

    /// Where the value of `key` came from.
    #[must_use]
    pub fn place(&self, key: &str) -> Place {
        self.places
            .get(key)
            .cloned()
            .unwrap_or_else(|| Place::Default { key: key.into() })
    }

    /// The configuration as far as it is put together.
    #[cfg(test)]
    pub(super) fn unchecked(&self) -> &Config {
        &self.config
    }

    fn locate(&self, problem: Problem) -> ConfigError {
        ConfigError::Setting {
            place: self.place(problem.key),
            reason: problem.reason,
        }
    }

    fn set(
        &mut self,
        key: &'static Key,
        value: &Value<'_>,
        place: Place,
    ) -> Result<(), ConfigError> {
        match (key.set)(&mut self.config, value) {
            Ok(()) => {
                self.places.insert(key.name, place);
                Ok(())
            }
            Err(reason) => Err(ConfigError::Setting { place, reason }),
        }
    }

    fn table(
        &mut self,
        prefix: &str,
        table: &DeTable<'_>,
        text: &str,
        file: &Path,
    ) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = match prefix {
                "" => name.get_ref().to_string(),
                _ => format!("{prefix}.{}", name.get_ref()),
            };
            let line = line_of(text, name.span().start);
            if let Some(known) = Key::named(&key).or_else(|| short(&key, value.get_ref())) {
                let place = Place::File {
                    file: file.to_owned(),
                    line,
                    key,
                };
                self.set(known, &Value::Item(value.get_ref()), place)?;
            } else if is_section(&key) {
                let DeValue::Table(inner) = value.get_ref() else {
                    return Err(ConfigError::Setting {
                        place: Place::File {
                            file: file.to_owned(),
                            line,
                            key,
                        },
                        reason: "is a table of settings, not a setting".into(),
                    });
                };
                self.table(&key, inner, text, file)?;
            } else {
                let nearest = nearest(&key);
                return Err(ConfigError::UnknownKey {
                    file: file.to_owned(),
                    line,
                    key,
                    nearest,
                });
            }
        }
        Ok(())
    }

    /// `--clip` alone asks for a clip source; a source that reads no clip with a
    /// clip from the same layer is a contradiction, as is a flag of the generator
    /// without the generator.
    fn settle_source(&mut self) -> Result<(), ConfigError> {
        let (path, kind) = (self.place("source.path"), self.place("source.kind"));
        if self.config.source.path.is_some() && path.rank() > kind.rank() {
            self.config.source.kind = SourceKind::Clip;
        }
        if self.config.source.kind == SourceKind::Generator {
            if path.rank() > 0 && path.rank() == kind.rank() {
                let reason = "the generator reads no clip; drop this or the source's kind".into();
                return Err(ConfigError::Setting {
                    place: path,
                    reason,
                });
            }
            return Ok(());
        }
        let stray = self.places.iter().find(|(key, place)| {
            key.starts_with("source.generator.") && matches!(place, Place::Flag { .. })
        });
        stray.map_or(Ok(()), |(_, place)| {
            Err(ConfigError::Setting {
                place: place.clone(),
                reason: "only the generator knows it; add --source generator".into(),
            })
        })
    }
}

/// The text of a file, or of a pipe, that may be a configuration.
fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(std::io::Error::other(
            "is longer than 1 MiB, so it is no configuration",
        ));
    }
    Ok(text)
}

fn is_section(key: &str) -> bool {
    KEYS.iter().any(|known| {
        known
            .name
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

/// The known key or section closest to `key` in typing errors, where the same
/// name in another section is close too, and so is the key of a flag so called.
fn nearest(key: &str) -> String {
    let parts = key.split('.').count();
    let sections = KEYS.iter().filter_map(|known| {
        let (end, _) = known.name.match_indices('.').nth(parts - 1)?;
        Some(&known.name[..end])
    });
    let names = KEYS.iter().map(|known| known.name).chain(sections);
    let names = names.map(|name| (distance(key, name), name));
    let flags = KEYS
        .iter()
        .map(|known| (flag_distance(key, known.flag), known.name));
    let nearest = names.chain(flags).min_by_key(|&(distance, _)| distance);
    nearest.map(|(_, name)| name).unwrap_or_default().to_owned()
}

/// How far `key` is from a flag's name, whatever section it stands in.
fn flag_distance(key: &str, flag: &str) -> usize {
    let (section, leaf) = key.rsplit_once('.').unwrap_or(("", key));
    let apart = strsim::damerau_levenshtein(&leaf.replace('_', "-"), flag);
    match section {
        "" => apart,
        _ => 2 * apart + 1,
    }
}

fn distance(key: &str, known: &str) -> usize {
    let (section, leaf) = key.rsplit_once('.').unwrap_or(("", key));
    let (known_section, known_leaf) = known.rsplit_once('.').unwrap_or(("", known));
    let moved = usize::from(section != known_section);
    strsim::damerau_levenshtein(key, known)
        .min(2 * strsim::damerau_levenshtein(leaf, known_leaf) + moved)
        .min(2 * strsim::damerau_levenshtein(leaf, &known.replace('.', "_")) + moved)
}
