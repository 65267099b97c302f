//! A small file system that only the process under test uses.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub struct SmallDisk {
    pub folder: PathBuf,
}

impl SmallDisk {
    /// Mounts a file system of this many MiB, which requires root.
    ///
    /// # Errors
    /// Returns the error of the system.
    pub fn mount(folder: &Path, mebibytes: u32) -> Result<Self, String> {
        use rustix::mount::{MountFlags, mount};
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let size = std::ffi::CString::new(format!("size={mebibytes}m")).unwrap();
        mount("tmpfs", folder, "tmpfs", MountFlags::empty(), size.as_c_str())
            .map_err(|error| error.to_string())?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    /// Fills the file system.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        for size in [64 << 10, 4 << 10, 1] {
            let zeros = vec![0; size];
            while file.write_all(&zeros).is_ok() {}
        }
    }

    /// Makes its space available again.
    pub fn free(&self) {
        let _ = fs::remove_file(self.filler());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.folder, rustix::mount::UnmountFlags::DETACH);
    }
}
