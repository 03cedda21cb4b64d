//! Which rails an energy figure adds up, and what that makes of it.

use std::fmt;

/// Why these rails are added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// They are the whole of this board.
    Board(&'static str),
    /// They are part of this board; the others of its boundary are not measured.
    PartOf {
        /// The board.
        board: &'static str,
        /// Rails of its boundary that no sensor shows.
        missing: Vec<String>,
    },
    /// The user named them.
    Chosen,
    /// Every measured rail of a board that nobody knows.
    Unknown,
    /// The processor's packages and their memory; not the rest of the machine.
    Processor,
    /// What the machine's own power meter measures.
    Meter,
}

/// The rails of a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// Labels of the rails that are added up.
    pub rails: Vec<String>,
    /// Measured rails that are not, because others contain them or nobody asked.
    pub left_out: Vec<String>,
    /// Why these.
    pub basis: Basis,
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rails.join("+"))?;
        match &self.basis {
            Basis::Board(board) => write!(f, " (the whole board: {board})"),
            Basis::PartOf { board, missing } => {
                write!(f, " (part of {board}: without {})", missing.join(", "))
            }
            Basis::Chosen => f.write_str(" (as power.rails says)"),
            Basis::Unknown if self.rails.len() > 1 => f.write_str(
                " (every measured rail of an unknown board: one may contain another; see --board and --power-rails)",
            ),
            Basis::Unknown => f.write_str(" (the one measured rail of an unknown board)"),
            Basis::Processor => {
                f.write_str(" (processor and its memory, not the rest of the machine)")
            }
            Basis::Meter => f.write_str(" (what the machine's power meter measures)"),
        }
    }
}
