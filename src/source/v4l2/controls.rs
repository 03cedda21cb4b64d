//! Exposure, gain and mains flicker: set at the start, given back at the end.
//!
//! Guarantees: what a control was before e4 first set it is what it is given
//! back, also where the device was lost in between; one that somebody else has
//! changed meanwhile is left alone; what the device does not have or take is
//! said. Not guaranteed: after SIGKILL nothing is given back.

use super::abi;
use super::node::Node;

/// A control that the device may choose by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The device chooses.
    Auto,
    /// This value.
    Value(u32),
}

/// What flickers in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerLine {
    /// Nothing is filtered.
    Off,
    /// 50 Hz mains.
    Hz50,
    /// 60 Hz mains.
    Hz60,
    /// The device finds out.
    Auto,
}

/// Controls to set; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Exposure time in microseconds.
    pub exposure_us: Option<Choice>,
    /// Gain in the device's own unit.
    pub gain: Option<Choice>,
    /// Mains flicker.
    pub power_line: Option<PowerLine>,
}

/// What the controls were before they were first set, in the order of setting.
#[derive(Clone, Debug, Default)]
pub struct Saved(Vec<Changed>);

/// A control that was set.
#[derive(Clone, Copy, Debug)]
struct Changed {
    id: u32,
    before: i32,
    /// What the device took.
    ours: i32,
}

/// What the kernel calls automatic and manual exposure. Most cameras know
/// aperture priority instead of the first.
const EXPOSURE_MANUAL: i32 = 1;
const EXPOSURE_AUTO: [i32; 2] = [0, 3];

impl Saved {
    /// Sets what is wanted; a sentence for each that the device does not have or
    /// take.
    pub fn set(&mut self, node: &Node, wanted: &Wanted) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut complain = |what: &str, done: Result<(), String>| {
            if let Err(reason) = done {
                complaints.push(format!("{what} is not set: {reason}"));
            }
        };
        if let Some(exposure) = wanted.exposure_us {
            complain("exposure", self.exposure(node, exposure));
        }
        if let Some(gain) = wanted.gain {
            complain("gain", self.gain(node, gain));
        }
        if let Some(power_line) = wanted.power_line {
            let done = self.put(node, abi::CID_POWER_LINE, power_line as i32);
            complain("power line frequency", done);
        }
        complaints
    }

    /// Whether nothing has been set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives back every control that still is what we made it, the last one set
    /// first.
    pub fn restore(&self, node: &Node) {
        for &Changed { id, before, ours } in self.0.iter().rev() {
            if node.control(id).is_ok_and(|value| value != ours) {
                continue;
            }
            // A device that has gone takes nothing back; nobody is left to tell.
            let _ = node.set_control(id, before);
        }
    }

    fn exposure(&mut self, node: &Node, choice: Choice) -> Result<(), String> {
        match choice {
            Choice::Auto => {
                let modes = EXPOSURE_AUTO;
                let first = self.put(node, abi::CID_EXPOSURE_AUTO, modes[0]);
                first.or_else(|_| self.put(node, abi::CID_EXPOSURE_AUTO, modes[1]))
            }
            Choice::Value(us) => {
                if has(node, abi::CID_EXPOSURE_AUTO) {
                    self.put(node, abi::CID_EXPOSURE_AUTO, EXPOSURE_MANUAL)?;
                }
                let units = i32::try_from(us.div_ceil(100)).unwrap_or(i32::MAX);
                self.put(node, abi::CID_EXPOSURE_ABSOLUTE, units)
            }
        }
    }

    fn gain(&mut self, node: &Node, choice: Choice) -> Result<(), String> {
        match choice {
            Choice::Auto => self.put(node, abi::CID_AUTOGAIN, 1),
            Choice::Value(gain) => {
                if has(node, abi::CID_AUTOGAIN) {
                    self.put(node, abi::CID_AUTOGAIN, 0)?;
                }
                let gain = i32::try_from(gain).unwrap_or(i32::MAX);
                self.put(node, abi::CID_GAIN, gain)
            }
        }
    }

    /// Sets one control, and remembers what it was the first time.
    fn put(&mut self, node: &Node, id: u32, value: i32) -> Result<(), String> {
        let info = match node.control_info(id) {
            Ok(Some(info)) => info,
            Ok(None) => return Err("the device has no such control".to_owned()),
            Err(errno) => return Err(errno.desc().to_owned()),
        };
        if !(info.minimum..=info.maximum).contains(&value) {
            return Err(format!(
                "the device takes {} to {}",
                info.minimum, info.maximum
            ));
        }
        let before = node.control(id).unwrap_or(info.default_value);
        let ours = node
            .set_control(id, value)
            .map_err(|errno| errno.desc().to_owned())?;
        match self.0.iter_mut().find(|known| known.id == id) {
            Some(known) => known.ours = ours,
            None => self.0.push(Changed { id, before, ours }),
        }
        Ok(())
    }
}

fn has(node: &Node, id: u32) -> bool {
    matches!(node.control_info(id), Ok(Some(_)))
}
