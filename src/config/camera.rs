//! The settings of cameras that have a syntax of their own.

use super::value::{Setting, Value, literal, named};
use crate::source::v4l2::{CameraFormat, Choice, PowerLine};
use toml::de::DeValue;

named!(PowerLine: "off" Off, "50hz" Hz50, "60hz" Hz60, "auto" Auto);

impl Setting for Choice {
    fn hint() -> Option<&'static str> {
        Some("auto|N")
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        match value.text() {
            Some("auto") => Ok(Self::Auto),
            _ => u32::read(value)
                .map(Self::Value)
                .map_err(|_| value.is_not("auto or a whole number")),
        }
    }
    fn show(&self) -> Option<String> {
        Some(match self {
            Self::Auto => literal("auto"),
            Self::Value(value) => value.to_string(),
        })
    }
}

/// Which camera: a path, or one of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceName(pub String);

impl Setting for DeviceName {
    fn hint() -> Option<&'static str> {
        Some("PATH|NAME")
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        match value.text() {
            Some(name) if !name.is_empty() => Ok(Self(name.to_owned())),
            _ => Err(value.is_not("a path or a name")),
        }
    }
    fn show(&self) -> Option<String> {
        Some(literal(&self.0))
    }
}

/// Formats in the order of preference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Formats {
    /// All that e4 can use, what costs the least first.
    #[default]
    Auto,
    /// These.
    List(Vec<CameraFormat>),
}

impl Formats {
    /// The formats.
    #[must_use]
    pub fn list(&self) -> Vec<CameraFormat> {
        match self {
            Self::Auto => CameraFormat::all(),
            Self::List(formats) => formats.clone(),
        }
    }

    fn one(name: &str) -> Result<CameraFormat, String> {
        CameraFormat::named(name).ok_or_else(|| {
            let names: Vec<_> = CameraFormat::all().iter().map(|f| f.name()).collect();
            format!("\"{name}\" is not one of {}", names.join(", "))
        })
    }
}

impl Setting for Formats {
    fn hint() -> Option<&'static str> {
        Some("auto|FORMAT,...")
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        if value.text() == Some("auto") {
            return Ok(Self::Auto);
        }
        let formats: Vec<_> = match *value {
            Value::Item(DeValue::Array(items)) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(name) => Self::one(name),
                    other => Err(Value::Item(other).is_not("the name of a format")),
                })
                .collect::<Result<_, _>>()?,
            _ => value
                .text()
                .ok_or_else(|| value.is_not("auto or a list of formats"))?
                .split(',')
                .map(|name| Self::one(name.trim()))
                .collect::<Result<_, _>>()?,
        };
        if formats.is_empty() {
            return Err("at least one format is needed".to_owned());
        }
        Ok(Self::List(formats))
    }
    fn show(&self) -> Option<String> {
        Some(match self {
            Self::Auto => literal("auto"),
            Self::List(formats) => {
                let names: Vec<_> = formats
                    .iter()
                    .map(|format| literal(format.name()))
                    .collect();
                format!("[{}]", names.join(", "))
            }
        })
    }
}
