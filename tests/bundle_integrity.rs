//! A bundle that is not what its exporter wrote is refused, and the message
//! names the file.

use e4::engine::Engine;
use e4::engine::bundle::{Bundle, BundleError, Manifest};
use e4::engine::check::golden_features;
use e4::engine::cpu::CpuEngine;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/tiny-e2")
}

/// A copy of the small bundle, free to be spoilt.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let copy = Self(TempDir::new().expect("a scratch folder"));
        for name in names(&shipped()) {
            fs::copy(shipped().join(&name), copy.file(&name)).expect("copies");
        }
        copy
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).expect("reads")
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.file(name), bytes).expect("writes");
    }

    /// Lists every file anew, so that the checks behind the checksums are met.
    fn sign(&self) {
        let mut list = String::new();
        for name in names(self.0.path()).iter().filter(|n| *n != "SHA256SUMS") {
            let digest = Sha256::digest(self.read(name));
            let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
            list += &format!("{hex}  {name}\n");
        }
        self.write("SHA256SUMS", list);
    }

    /// Sets the value at `path` (keys and indices, as `exit.0.threshold`) of the
    /// manifest and lists the file anew.
    fn set(&self, path: &str, value: impl Into<toml::Value>) {
        let text = String::from_utf8(self.read("bundle.toml")).expect("text");
        let mut manifest: toml::Value = toml::from_str(&text).expect("TOML");
        let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
        let mut at = &mut manifest;
        for step in parent.split('.').filter(|s| !s.is_empty()) {
            at = match step.parse::<usize>() {
                Ok(index) => at.get_mut(index),
                Err(_) => at.get_mut(step),
            }
            .expect("the path leads somewhere");
        }
        let table = at.as_table_mut().expect("a table");
        table.insert(key.to_owned(), value.into());
        self.write("bundle.toml", toml::to_string(&manifest).expect("TOML"));
        self.sign();
    }

    fn open(&self) -> Result<Bundle, BundleError> {
        Bundle::open(self.0.path())
    }

    /// Opens, expects a refusal that is one line and names `file`.
    fn refused(&self, file: &str) -> String {
        let message = self.open().expect_err(file).to_string();
        let path = self.file(file);
        assert!(
            message.contains(&path.display().to_string()),
            "{file}: {message}"
        );
        assert!(!message.contains('\n'), "{message}");
        message
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries
        .map(|e| name(e).into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn the_copy_itself_is_good() {
    let copy = Copy::new();
    let bundle = copy.open().expect("opens");
    assert_eq!(
        bundle.digest(),
        Bundle::open(shipped()).expect("opens").digest()
    );
    let signed = Copy::new();
    signed.sign();
    assert!(signed.open().is_ok());
}

/// In the list itself a flipped digit makes its file look changed, a flipped
/// letter of a name makes one missing: either way a file is named.
#[test]
fn a_flipped_byte_anywhere_is_refused() {
    let copy = Copy::new();
    for name in names(&shipped()) {
        let good = copy.read(&name);
        let step = (good.len() / 23).max(1);
        let last = good.len() - 1;
        let step = if name == "SHA256SUMS" { 1 } else { step };
        for at in (0..good.len()).step_by(step).chain([last]) {
            for mask in [0x01, 0x20, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= mask;
                copy.write(&name, &bad);
                if name == "SHA256SUMS" {
                    assert!(copy.open().is_err(), "{name}: byte {at} ^ {mask:#x}");
                } else {
                    copy.refused(&name);
                }
            }
        }
        copy.write(&name, &good);
    }
    assert!(copy.open().is_ok());
}

#[test]
fn a_file_cut_short_or_grown_is_refused() {
    let copy = Copy::new();
    for name in names(&shipped()) {
        let good = copy.read(&name);
        for bad in [
            &good[..good.len() - 1],
            &good[..0],
            &[&good[..], b"\n"].concat(),
        ] {
            copy.write(&name, bad);
            if name == "SHA256SUMS" {
                assert!(copy.open().is_err());
            } else {
                copy.refused(&name);
            }
        }
        copy.write(&name, &good);
    }
}

#[test]
fn a_missing_file_is_refused() {
    for name in names(&shipped()) {
        let copy = Copy::new();
        fs::remove_file(copy.file(&name)).expect("removes");
        let message = copy.refused(&name);
        assert!(message.contains("missing"), "{message}");
        if name != "SHA256SUMS" {
            copy.sign();
            copy.refused(&name);
        }
    }
}

#[test]
fn an_extra_entry_is_refused() {
    let copy = Copy::new();
    for name in ["notes.txt", ".hidden", "segment_2.onnx", "SHA256SUMS.bak"] {
        copy.write(name, b"");
        copy.refused(name);
        fs::remove_file(copy.file(name)).expect("removes");
    }
    fs::create_dir(copy.file("sub")).expect("makes");
    copy.refused("sub");
    fs::remove_dir(copy.file("sub")).expect("removes");
    assert!(copy.open().is_ok());
}

#[test]
fn a_link_is_refused_even_to_the_right_content() {
    let copy = Copy::new();
    for name in names(&shipped()) {
        fs::remove_file(copy.file(&name)).expect("removes");
        std::os::unix::fs::symlink(shipped().join(&name), copy.file(&name)).expect("links");
        copy.refused(&name);
        fs::remove_file(copy.file(&name)).expect("removes");
        fs::copy(shipped().join(&name), copy.file(&name)).expect("copies");
    }
}

#[test]
fn a_name_that_leaves_the_directory_is_refused() {
    let copy = Copy::new();
    let list = String::from_utf8(copy.read("SHA256SUMS")).expect("text");
    copy.write("SHA256SUMS", list.replacen("CARD.md", "../CARD.md", 1));
    copy.refused("SHA256SUMS");
}

#[test]
fn what_is_no_directory_of_a_bundle_is_named() {
    let copy = Copy::new();
    for path in [copy.file("no-such-directory"), copy.file("CARD.md")] {
        let message = Bundle::open(&path).expect_err("refused").to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
    }
}

/// The list is right each time; the manifest is not.
#[test]
fn a_manifest_that_cannot_be_is_refused() {
    let cases: [(&str, toml::Value); 11] = [
        ("exit.0.threshold", 1.5.into()),
        ("exit.0.threshold", 1.0.into()),
        ("exit.0.threshold", 0.0.into()),
        ("exit.0.softmax_threshold", (-0.5).into()),
        ("exit.1.threshold", 0.5.into()),
        ("surprise", 1.into()),
        ("window", i64::MAX.into()),
        ("input.width", (1_i64 << 62).into()),
        ("heads.hidden", (1_i64 << 31).into()),
        ("segment.0.input", vec![1, 3, 64, 65].into()),
        ("schema", "e4.bundle/9".into()),
    ];
    for (path, value) in cases {
        let copy = Copy::new();
        copy.set(path, value);
        let message = copy.refused("bundle.toml");
        let field = path.rsplit('.').next().unwrap_or(path);
        assert!(message.contains(field), "{path}: {message}");
    }
    let copy = Copy::new();
    copy.write("bundle.toml", vec![b'#'; 1 << 20]);
    copy.sign();
    copy.refused("bundle.toml");
}

/// Shapes that fit one another but neither the golden vectors nor the graphs.
#[test]
fn shapes_that_the_files_do_not_have_are_refused() {
    let good = Bundle::open(shipped()).expect("opens");
    let segments = &good.manifest().segments;
    let toml = |shape: [usize; 4]| shape.map(|n| i64::try_from(n).expect("small")).to_vec();

    let copy = Copy::new();
    let mut pooled = segments[1].pooled;
    pooled[1] += 1;
    copy.set("segment.1.pooled", toml(pooled));
    let message = copy.refused("golden.safetensors");
    assert!(message.contains("pooled.1"), "{message}");

    let copy = Copy::new();
    let mut map = segments[1].input;
    map[2] += 1;
    copy.set("segment.0.output", toml(map));
    copy.set("segment.1.input", toml(map));
    let bundle = copy.open().expect("only the graphs can tell");
    for (k, segment) in segments.iter().enumerate() {
        let error = CpuEngine::new()
            .load(&bundle, k)
            .expect_err("refused")
            .to_string();
        let path = copy.file(&segment.file).display().to_string();
        assert!(error.contains(&path), "{error}");
        assert!(error.contains(&format!("{map:?}")), "{error}");
    }
}

#[test]
fn a_segment_that_is_no_graph_is_refused() {
    let swapped = fs::read(shipped().join("segment_1.onnx")).expect("reads");
    let good = fs::read(shipped().join("segment_0.onnx")).expect("reads");
    let cut = &good[..good.len() / 2];
    for bad in [&b""[..], b"not a graph\n", cut, &[0xff; 100], &swapped] {
        let copy = Copy::new();
        copy.write("segment_0.onnx", bad);
        copy.sign();
        let bundle = copy.open().expect("only the engine can tell");
        let error = CpuEngine::new()
            .load(&bundle, 0)
            .expect_err("refused")
            .to_string();
        assert!(error.contains("segment_0.onnx"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

/// Everything fits, yet another normalisation makes other features.
#[test]
fn a_bundle_that_computes_something_else_does_not_equal_its_golden_vectors() {
    let copy = Copy::new();
    copy.set("input.mean", vec![90.0, 120.0, 150.0]);
    let bundle = copy.open().expect("only a run can tell");
    let golden = bundle.golden().expect("golden vectors");
    let errors = golden_features(&CpuEngine::new(), &bundle, &golden).expect("runs");
    assert!(errors.iter().all(|e| !e.is_equal()), "{errors:?}");
}

#[test]
fn golden_vectors_that_are_none_are_refused() {
    let good = fs::read(shipped().join("golden.safetensors")).expect("reads");
    let gates = fs::read(shipped().join("gates.safetensors")).expect("reads");
    let huge_header = [&u64::MAX.to_le_bytes()[..], &good[8..]].concat();
    for bad in [
        &b""[..],
        b"{}",
        &good[..good.len() - 1],
        &huge_header,
        &gates,
    ] {
        let copy = Copy::new();
        copy.write("golden.safetensors", bad);
        copy.sign();
        copy.refused("golden.safetensors");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever the text, the answer is a manifest or a sentence.
    #[test]
    fn no_manifest_text_panics(text in "\\PC{0,200}") {
        let _ = Manifest::parse(&text);
    }

    /// Likewise for the shipped manifest with a piece replaced by another piece
    /// of TOML.
    #[test]
    fn no_spoilt_manifest_panics(
        at in 0.0..1.0f64,
        cut in 0usize..40,
        piece in "(-?[0-9]{1,20}|nan|-inf|1e999|\\[|\\]|\"|=|\n|\\[\\[exit\\]\\]\n|[a-z_]{1,9}|\\PC{1,4})",
    ) {
        let text = fs::read_to_string(shipped().join("bundle.toml")).expect("reads");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a position in a short text")]
        let start = (at * text.len() as f64) as usize;
        let end = (start + cut).min(text.len());
        let spoilt = format!("{}{piece}{}", &text[..start], &text[end..]);
        if let Err(error) = Manifest::parse(&spoilt) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    /// Bytes of golden vectors may be anything once the list agrees.
    #[test]
    fn no_spoilt_golden_file_panics(at in 0usize..4096, byte in any::<u8>()) {
        let copy = Copy::new();
        let mut bytes = copy.read("golden.safetensors");
        let len = bytes.len();
        bytes[at % len] = byte;
        copy.write("golden.safetensors", bytes);
        copy.sign();
        if let Err(error) = copy.open() {
            prop_assert!(error.to_string().contains("golden.safetensors"));
        }
    }
}
