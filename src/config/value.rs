//! Values of settings: from a TOML item or a flag's text to a type, and back to
//! the TOML literal that `--print-config` shows.

use crate::tensor::PixelFormat;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use toml::de::DeValue;

/// A setting's value before it has a type.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Text of a flag.
    Text(&'a str),
    /// Item of a TOML file.
    Item(&'a DeValue<'a>),
}

impl<'a> Value<'a> {
    /// The text, where it is one.
    pub(super) fn text(&self) -> Option<&'a str> {
        match *self {
            Self::Text(text) => Some(text),
            Self::Item(DeValue::String(text)) => Some(text),
            Self::Item(_) => None,
        }
    }

    /// The whole number, where it is one that fits.
    fn integer<T: TryFrom<i128>>(&self) -> Option<T> {
        let number = match *self {
            Self::Text(text) => text.parse().ok()?,
            Self::Item(DeValue::Integer(i)) => i128::from_str_radix(i.as_str(), i.radix()).ok()?,
            Self::Item(_) => return None,
        };
        T::try_from(number).ok()
    }

    /// The finite number, where it is one.
    fn number(&self) -> Option<f64> {
        let number: f64 = match *self {
            Self::Text(text) => text.parse().ok()?,
            Self::Item(DeValue::Float(f)) => f.as_str().parse().ok()?,
            Self::Item(DeValue::Integer(_)) => return self.integer::<i32>().map(f64::from),
            Self::Item(_) => return None,
        };
        number.is_finite().then_some(number)
    }

    /// `self` in an error's words.
    fn quoted(&self) -> String {
        match *self {
            Self::Text(text) => format!("\"{text}\""),
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
    fn hint() -> Option<String>;
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
            fn hint() -> Option<String> {
                Some("N".into())
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

impl Setting for f64 {
    fn hint() -> Option<String> {
        Some("X".into())
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        value.number().ok_or_else(|| value.is_not("a number"))
    }
    fn show(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}

impl Setting for bool {
    fn hint() -> Option<String> {
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
    fn hint() -> Option<String> {
        Some("PATH".into())
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        match value.text() {
            Some(path) if !path.is_empty() => Ok(path.into()),
            _ => Err(value.is_not("a path")),
        }
    }
    fn show(&self) -> Option<String> {
        Some(literal(&self.to_string_lossy()))
    }
}

impl<T: Setting> Setting for Option<T> {
    fn hint() -> Option<String> {
        T::hint()
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        T::read(value).map(Some)
    }
    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }
}

/// Defines an enum whose values have one name each, and reads it from that name.
macro_rules! choices {
    ($(#[$meta:meta])* $name:ident: $first:literal $first_variant:ident $first_doc:literal
        $(, $text:literal $variant:ident $doc:literal)* $(,)?) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name {
            #[doc = $first_doc]
            #[default]
            $first_variant,
            $(#[doc = $doc] $variant,)*
        }

        impl $name {
            /// Every value, the default first.
            pub const ALL: &[Self] = &[Self::$first_variant $(, Self::$variant)*];

            /// The name in configs and flags.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    Self::$first_variant => $first,
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl $crate::config::value::Named for $name {
            fn all() -> &'static [Self] { Self::ALL }
            fn name(&self) -> &'static str { Self::name(*self) }
        }
    };
}
pub(super) use choices;

/// One of a few values, each with a name.
pub(super) trait Named: Copy + 'static {
    fn all() -> &'static [Self];
    fn name(&self) -> &'static str;
}

impl Named for PixelFormat {
    fn all() -> &'static [Self] {
        &[
            Self::Gray8,
            Self::Rgb24,
            Self::Bgr24,
            Self::Yuyv,
            Self::Uyvy,
            Self::Nv12,
            Self::I420,
            Self::I422,
            Self::I444,
        ]
    }
    fn name(&self) -> &'static str {
        match self {
            Self::Gray8 => "gray8",
            Self::Rgb24 => "rgb24",
            Self::Bgr24 => "bgr24",
            Self::Yuyv => "yuyv",
            Self::Uyvy => "uyvy",
            Self::Nv12 => "nv12",
            Self::I420 => "i420",
            Self::I422 => "i422",
            Self::I444 => "i444",
        }
    }
}

/// The names of every value, `separator` between them.
fn names<T: Named>(separator: &str) -> String {
    let all: Vec<_> = T::all().iter().map(Named::name).collect();
    all.join(separator)
}

impl<T: Named> Setting for T {
    fn hint() -> Option<String> {
        Some(names::<T>("|"))
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        let text = value.text();
        T::all()
            .iter()
            .copied()
            .find(|choice| Some(choice.name()) == text)
            .ok_or_else(|| match T::all() {
                [only] => value.is_not(format_args!("\"{}\"", only.name())),
                _ => value.is_not(format_args!("one of {}", names::<T>(", "))),
            })
    }
    fn show(&self) -> Option<String> {
        Some(literal(self.name()))
    }
}

/// Parses the part of `text` after `prefix` and a colon.
pub(super) fn after_colon<T: FromStr>(text: &str, prefix: &str) -> Option<T> {
    text.strip_prefix(prefix)?.strip_prefix(':')?.parse().ok()
}
