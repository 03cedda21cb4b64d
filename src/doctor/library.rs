//! Libraries that an engine may be made of: found by name, asked for their version.
//!
//! Guarantees: nothing of a library stays behind; one that does not load is an
//! error with the loader's words. Not guaranteed: anything about a library whose
//! own start-up code misbehaves; it runs, as in any program that loads it.

use super::Host;
use std::env;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The library of the longest name that begins with `name`, which is the one with
/// the most of its version in it.
pub(super) fn find(host: &Host, name: &str) -> Option<PathBuf> {
    let folders = folders(host);
    let files = folders.iter().flat_map(|folder| {
        let names = host.names(folder).into_iter();
        let wanted = names.filter(|file| file.starts_with(name));
        wanted.map(move |file| host.path(folder.join(file)))
    });
    files.max_by_key(|file| file.as_os_str().len())
}

/// Where the loader looks, and where these libraries are unpacked to.
fn folders(host: &Host) -> Vec<PathBuf> {
    const FIXED: &[&str] = &[
        "/usr/lib",
        "/usr/lib64",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu/nvidia",
        "/usr/local/lib",
        "/usr/local/cuda/lib64",
        "/usr/local/tensorrt/lib",
        "/opt/tensorrt/lib",
        "/opt/onnxruntime/lib",
    ];
    let listed = env::var_os("LD_LIBRARY_PATH").filter(|_| host.is_real());
    let listed = listed.unwrap_or_default();
    let listed = env::split_paths(&listed).filter(|folder| folder.is_absolute());
    listed.chain(FIXED.iter().map(PathBuf::from)).collect()
}

/// What stands behind `.so.` in a file's name.
pub(super) fn version_in_name(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    let (_, version) = name.split_once(".so.")?;
    Some(version.to_owned())
}

/// A loaded library.
pub(super) struct Library(*mut c_void);

impl Library {
    /// Loads `file` and what it needs.
    pub(super) fn load(file: &Path) -> Result<Self, String> {
        let path = CString::new(file.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        // SAFETY: `path` is a C string that outlives the call.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
        if !handle.is_null() {
            return Ok(Self(handle));
        }
        // SAFETY: dlerror takes nothing; its text is copied before any other call.
        let text = unsafe { libc::dlerror() };
        if text.is_null() {
            return Err("it does not load".to_owned());
        }
        // SAFETY: what is not null is a C string until the next call of this thread.
        Err(unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned())
    }

    fn symbol(&self, name: &CStr) -> Option<*mut c_void> {
        // SAFETY: the handle is open and `name` a C string.
        let symbol = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        (!symbol.is_null()).then_some(symbol)
    }

    /// The version of a TensorRT library.
    pub(super) fn tensorrt_version(&self) -> Option<String> {
        let symbol = self.symbol(c"getInferLibVersion")?;
        // SAFETY: NvInferRuntime.h declares this symbol so, in every version.
        let version = unsafe {
            let version: extern "C" fn() -> c_int = std::mem::transmute(symbol);
            version()
        };
        Some(tensorrt_words(version))
    }

    /// The version of an ONNX Runtime library.
    pub(super) fn onnxruntime_version(&self) -> Option<String> {
        #[repr(C)]
        struct ApiBase {
            get_api: extern "C" fn(u32) -> *const c_void,
            get_version: extern "C" fn() -> *const c_char,
        }
        let symbol = self.symbol(c"OrtGetApiBase")?;
        // SAFETY: onnxruntime_c_api.h declares this symbol so, in every version.
        let base = unsafe {
            let base: extern "C" fn() -> *const ApiBase = std::mem::transmute(symbol);
            base().as_ref()?
        };
        let text = (base.get_version)();
        if text.is_null() {
            return None;
        }
        // SAFETY: a C string that lives as long as the library, which is still open.
        Some(
            unsafe { CStr::from_ptr(text) }
                .to_string_lossy()
                .into_owned(),
        )
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: the handle was opened once and is closed once; nothing of the
        // library is kept.
        unsafe { libc::dlclose(self.0) };
    }
}

/// Major, minor and patch of TensorRT's number: 8502 is 8.5.2, 100300 is 10.3.0.
fn tensorrt_words(version: c_int) -> String {
    let major = if version >= 100_000 { 10_000 } else { 1_000 };
    let (minor, patch) = (version % major / 100, version % 100);
    format!("{}.{minor}.{patch}", version / major)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensorrts_numbers_are_read_in_both_forms() {
        assert_eq!(tensorrt_words(8502), "8.5.2");
        assert_eq!(tensorrt_words(8201), "8.2.1");
        assert_eq!(tensorrt_words(100_300), "10.3.0");
        assert_eq!(tensorrt_words(110_401), "11.4.1");
    }

    #[test]
    fn what_is_no_library_is_an_error_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("libnvinfer.so.8");
        std::fs::write(&file, "no library").unwrap();
        let error = Library::load(&file).err().unwrap();
        assert!(error.contains("libnvinfer.so.8"), "{error}");
        assert_eq!(version_in_name(&file).as_deref(), Some("8"));
        assert_eq!(version_in_name(Path::new("/lib/libx.so")), None);
    }

    #[test]
    fn a_library_without_the_symbol_has_no_version() {
        let Ok(library) = Library::load(Path::new("libc.so.6")) else {
            println!("skipped: no libc.so.6 on this host");
            return;
        };
        assert_eq!(library.tensorrt_version(), None);
        assert_eq!(library.onnxruntime_version(), None);
    }
}
