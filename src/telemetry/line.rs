//! One JSON line a frame.
//!
//! Guarantees: each line is a JSON object of the same fields in the same order,
//! ended by a newline; writing it into a buffer that is large enough allocates
//! nothing. Costs 1-2 us a frame.

use super::FrameResult;
use std::io::{self, Write};

/// Formats results for a bundle's class names.
#[derive(Clone, Debug)]
pub struct LineFormat {
    classes: Vec<String>,
}

impl LineFormat {
    /// For a bundle whose classes are `labels`.
    #[must_use]
    pub fn new(labels: &[String]) -> Self {
        Self {
            classes: labels.iter().map(|name| json_string(name)).collect(),
        }
    }

    /// Bytes that the longest line may take.
    #[must_use]
    pub fn longest(&self) -> usize {
        let names = self.classes.iter().map(String::len);
        1408 + 2 * names.max().unwrap_or(0)
    }

    /// Appends the line of `result` to `line`; `drops` is the number of frames
    /// dropped so far.
    ///
    /// # Errors
    /// None for a buffer in memory.
    pub fn write(&self, line: &mut Vec<u8>, result: &FrameResult, drops: u64) -> io::Result<()> {
        write!(
            line,
            "{{\"frame\":{},\"sequence\":{},\"clip\":{},\"timestamp_ns\":{},\"captured_ns\":{},\"class\":",
            result.frame, result.sequence, result.clip, result.timestamp_ns, result.captured_ns
        )?;
        line.extend_from_slice(name(&self.classes, Some(result.class)));
        // JSON knows no infinities.
        if result.confidence.is_finite() {
            write!(line, ",\"confidence\":{}", result.confidence)?;
        } else {
            line.extend_from_slice(b",\"confidence\":null");
        }
        write!(line, ",\"exit\":{},\"label\":", u16::from(result.exit) + 1)?;
        line.extend_from_slice(name(&self.classes, result.label));
        line.extend_from_slice(b",\"tensor_us\":");
        microseconds(line, result.tensor_ns)?;
        line.extend_from_slice(b",\"segments_us\":[");
        list(line, result.evaluated().iter().map(|e| e.segment_ns))?;
        line.extend_from_slice(b"],\"gates_us\":[");
        list(line, result.evaluated().iter().map(|e| e.gate_ns))?;
        line.extend_from_slice(b"],\"latency_us\":");
        microseconds(line, result.latency_ns())?;
        if let Some(clocks) = &result.clocks {
            line.extend_from_slice(b",\"clocks\":");
            clocks.write(line)?;
        }
        writeln!(line, ",\"drops\":{drops}}}")
    }
}

/// Adds the energy of its frame to a whole line, and by how much it can be off.
///
/// # Errors
/// None for a buffer in memory.
pub fn add_energy(line: &mut Vec<u8>, joules: f64, error_joules: f64) -> io::Result<()> {
    if line.ends_with(b"}\n") && joules.is_finite() && error_joules.is_finite() {
        line.truncate(line.len() - 2);
        let (energy_mj, error_mj) = (joules * 1e3, error_joules * 1e3);
        writeln!(
            line,
            ",\"energy_mj\":{energy_mj:.3},\"energy_error_mj\":{error_mj:.3}}}"
        )?;
    }
    Ok(())
}

fn name(names: &[String], index: Option<u16>) -> &[u8] {
    index
        .and_then(|index| names.get(usize::from(index)))
        .map_or(b"null", |name| name.as_bytes())
}

fn list(line: &mut Vec<u8>, times_ns: impl Iterator<Item = u64>) -> io::Result<()> {
    for (index, time) in times_ns.enumerate() {
        if index > 0 {
            line.push(b',');
        }
        microseconds(line, time)?;
    }
    Ok(())
}

fn microseconds(line: &mut Vec<u8>, ns: u64) -> io::Result<()> {
    write!(line, "{}.{:03}", ns / 1000, ns % 1000)
}

/// `text` as a JSON string with its quotes.
fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::FrameClocks;
    use super::super::testing::{frame, names};
    use super::*;
    use serde_json::json;

    fn parsed(format: &LineFormat, result: &FrameResult) -> serde_json::Value {
        let mut line = Vec::new();
        format.write(&mut line, result, 3).unwrap();
        assert_eq!(line.pop(), Some(b'\n'));
        assert!(!line.contains(&b'\n'));
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn a_line_holds_every_field_in_its_unit() {
        let format = LineFormat::new(&names(&["walk", "run \"fast\"\n"]));
        let mut result = frame(1);
        (result.class, result.label, result.frame, result.sequence) = (1, Some(0), 4, 5);
        let wanted = json!({
            "frame": 4, "sequence": 5, "clip": 0, "timestamp_ns": 40_000_000, "captured_ns": 1_000_000,
            "class": "run \"fast\"\n", "confidence": 0.5, "exit": 2, "label": "walk",
            "tensor_us": 100.0, "segments_us": [1000.0, 1000.0], "gates_us": [20.0, 20.0],
            "latency_us": 2200.0, "drops": 3,
        });
        assert_eq!(parsed(&format, &result), wanted);
    }

    #[test]
    fn energy_is_in_the_line_only_where_it_is_a_number() {
        let format = LineFormat::new(&[]);
        let mut line = Vec::new();
        format.write(&mut line, &frame(0), 3).unwrap();
        let plain = line.clone();
        add_energy(&mut line, f64::NAN, 0.0).unwrap();
        assert_eq!(line, plain);
        add_energy(&mut line, 0.0125, 0.0005).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            (&value["energy_mj"], &value["energy_error_mj"]),
            (&json!(12.5), &json!(0.5))
        );
        assert_eq!(value["drops"], 3);
    }

    #[test]
    fn what_is_unknown_is_null() {
        let format = LineFormat::new(&[]);
        let mut result = frame(0);
        result.confidence = f32::NAN;
        let line = parsed(&format, &result);
        for field in ["class", "label", "confidence"] {
            assert!(line[field].is_null(), "{field}");
        }
    }

    #[test]
    fn the_largest_numbers_fit_the_buffer_that_is_asked_for() {
        let format = LineFormat::new(&names(&["\u{1}".repeat(300).as_str()]));
        let mut result = frame(7);
        result.class = 0;
        result.label = Some(0);
        result.confidence = f32::MIN_POSITIVE;
        (result.frame, result.sequence, result.clip) = (u64::MAX, u64::MAX, u32::MAX);
        (result.timestamp_ns, result.captured_ns, result.delivered_ns) = (u64::MAX, 0, u64::MAX);
        result.tensor_ns = u64::MAX;
        result.clocks = Some(FrameClocks {
            present: u32::MAX,
            asked_khz: [u32::MAX; 3],
            in_effect_khz: [u32::MAX; 3],
        });
        for exit in &mut result.exits {
            (exit.segment_ns, exit.gate_ns) = (u64::MAX, u64::MAX);
        }
        let mut line = Vec::with_capacity(format.longest());
        let capacity = line.capacity();
        format.write(&mut line, &result, u64::MAX).unwrap();
        add_energy(&mut line, 1e15, 1e15).unwrap();
        assert_eq!(line.capacity(), capacity, "{}", line.len());
    }
}
