//! Values of settings: from a TOML item or a flag's text to a type, and back to
//! the TOML literal that `--print-config` shows.

use std::ffi::OsStr;
use std::fmt::Display;
use std::num::NonZeroU64;
use std::path::PathBuf;
use toml::de::DeValue;

/// A setting's value before it has a type.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Text of a flag.
    Text(&'a str),
    /// A flag's bytes that are no text, as the name of a file may be.
    Bytes(&'a OsStr),
    /// Item of a TOML file.
    Item(&'a DeValue<'a>),
}

impl<'a> Value<'a> {
    /// The text, where it is one.
    pub(super) fn text(&self) -> Option<&'a str> {
        match *self {
            Self::Text(text) => Some(text),
            Self::Item(DeValue::String(text)) => Some(text),
            Self::Bytes(_) | Self::Item(_) => None,
        }
    }

    /// The whole number, where it is one that fits.
    fn integer<T: TryFrom<i128>>(&self) -> Option<T> {
        let number = match *self {
            Self::Text(text) => text.parse().ok()?,
            Self::Item(DeValue::Integer(i)) => i128::from_str_radix(i.as_str(), i.radix()).ok()?,
            Self::Bytes(_) | Self::Item(_) => return None,
        };
        T::try_from(number).ok()
    }

    /// The finite number, where it is one.
    fn number(&self) -> Option<f64> {
        let number: f64 = match *self {
            Self::Text(text) => text.parse().ok()?,
            Self::Item(DeValue::Float(f)) => f.as_str().parse().ok()?,
            Self::Item(DeValue::Integer(_)) => return self.integer::<i32>().map(f64::from),
            Self::Bytes(_) | Self::Item(_) => return None,
        };
        number.is_finite().then_some(number)
    }

    /// `self` in an error's words.
    fn quoted(&self) -> String {
        match *self {
            Self::Text(text) => format!("\"{text}\""),
            Self::Bytes(bytes) => format!("\"{}\"", bytes.to_string_lossy()),
            Self::Item(DeValue::String(text)) => format!("\"{text}\""),
            Self::Item(DeValue::Integer(number)) => number.to_string(),
            Self::Item(DeValue::Float(number)) => number.to_string(),
            Self::Item(DeValue::Boolean(flag)) => flag.to_string(),
            Self::Item(other) => format!("a value of type {}", other.type_str()),
        }
    }

    /// The complaint that `self` is not `wanted`.
    pub(super) fn is_not(&self, wanted: impl Display) -> String {
        format!("{} is not {wanted}", self.quoted())
    }
}

/// A type that a setting may have.
pub(super) trait Setting: Sized {
    /// What stands for the value in help: `N`, `fast|realtime`. `None` for a
    /// switch, whose flag needs no value.
    fn hint() -> Option<&'static str>;
    /// Reads the value; the error says what is wrong with it.
    fn read(value: &Value<'_>) -> Result<Self, String>;
    /// The TOML literal; `None` when the setting is unset.
    fn show(&self) -> Option<String>;
}

/// A TOML string literal.
pub(super) fn literal(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

macro_rules! whole_numbers {
    ($($type:ty),+) => {$(
        impl Setting for $type {
            fn hint() -> Option<&'static str> {
                Some("N")
            }
            fn read(value: &Value<'_>) -> Result<Self, String> {
                value
                    .integer()
                    .ok_or_else(|| value.is_not(format_args!("a whole number from 0 to {}", <$type>::MAX)))
            }
            fn show(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+};
}

// TOML integers end at i64::MAX; a seed above it must come from a flag, so u64
// is printed as it is and TOML reads it back through i128.
whole_numbers!(u8, u32, u64);

impl Setting for NonZeroU64 {
    fn hint() -> Option<&'static str> {
        Some("N")
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        let number = value.integer().and_then(Self::new);
        number.ok_or_else(|| value.is_not("a whole number from 1"))
    }
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for f64 {
    fn hint() -> Option<&'static str> {
        Some("X")
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        value.number().ok_or_else(|| value.is_not("a number"))
    }
    fn show(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}

impl Setting for bool {
    fn hint() -> Option<&'static str> {
        None
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        match *value {
            Value::Text("true") | Value::Item(DeValue::Boolean(true)) => Ok(true),
            Value::Text("false") | Value::Item(DeValue::Boolean(false)) => Ok(false),
            _ => Err(value.is_not("true or false")),
        }
    }
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for PathBuf {
    fn hint() -> Option<&'static str> {
        Some("PATH")
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        match (value.text(), value) {
            (Some(path), _) if !path.is_empty() => Ok(path.into()),
            (None, Value::Bytes(path)) => Ok(path.into()),
            _ => Err(value.is_not("a path")),
        }
    }
    fn show(&self) -> Option<String> {
        Some(literal(&self.to_string_lossy()))
    }
}

impl<T: Setting> Setting for Option<T> {
    fn hint() -> Option<&'static str> {
        T::hint()
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        T::read(value).map(Some)
    }
    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }
}

/// One of a few values, each with a name.
pub(super) trait Named: Copy + 'static {
    /// Every value with its name, the default first.
    const NAMES: &'static [(&'static str, Self)];
    /// The names with a bar between them.
    const HINT: &'static str;
}

/// Gives names to the values of an enum.
macro_rules! named {
    ($type:ty: $first:literal $first_value:ident $(, $name:literal $value:ident)*) => {
        impl $crate::config::value::Named for $type {
            const NAMES: &'static [(&'static str, Self)] =
                &[($first, Self::$first_value) $(, ($name, Self::$value))*];
            const HINT: &'static str = concat!($first $(, "|", $name)*);
        }
    };
}
pub(super) use named;

impl<T: Named + PartialEq> Setting for T {
    fn hint() -> Option<&'static str> {
        Some(T::HINT)
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        let text = value.text();
        let known = T::NAMES.iter().find(|(name, _)| Some(*name) == text);
        known
            .map(|&(_, choice)| choice)
            .ok_or_else(|| match T::NAMES {
                [(only, _)] => value.is_not(format_args!("\"{only}\"")),
                _ => value.is_not(format_args!("one of {}", T::HINT.replace('|', ", "))),
            })
    }
    fn show(&self) -> Option<String> {
        let name = T::NAMES.iter().find(|(_, choice)| choice == self);
        name.map(|(name, _)| literal(name))
    }
}
