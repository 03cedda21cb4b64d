//! The commented configuration that `--print-config` writes.

use super::{Config, KEYS};

/// Columns that comments are wrapped at.
const WIDTH: usize = 78;

impl Config {
    /// The configuration as TOML, every key with its meaning. Unset keys are
    /// commented out. Reading it back gives an equal configuration.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = String::from(
            "# Configuration of `e4 run`. Every key may be left out, and every key is a flag\n\
             # too (in brackets), which wins over the file.\n",
        );
        let mut section = "";
        for key in KEYS {
            let (table, name) = key.split();
            if table == section {
                text.push('\n');
            } else {
                section = table;
                text.extend(["\n[", table, "]\n"]);
            }
            comment(&mut text, &format!("{} [--{}]", key.doc, key.flag));
            let line = match (key.show)(self) {
                Some(value) => format!("{name} = {value}\n"),
                None => format!("# {name} = {}\n", key.hint().unwrap_or("true|false")),
            };
            text.push_str(&line);
        }
        text
    }
}

/// Adds `words` as comment lines.
fn comment(text: &mut String, words: &str) {
    let mut column = 0;
    for word in words.split(' ') {
        let width = word.chars().count() + 1;
        if column == 0 || column + width > WIDTH {
            text.push_str(if column == 0 { "#" } else { "\n#" });
            column = 1;
        }
        text.extend([" ", word]);
        column += width;
    }
    text.push('\n');
}
