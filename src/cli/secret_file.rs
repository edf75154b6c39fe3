//! Files with secrets: who else can read them.

use std::{fs::Metadata, path::Path};

/// What an operator has to know, on one line, if other users can read or replace this file.
pub(super) fn warning(path: &Path) -> Option<String> {
    let metadata = path.metadata().ok()?;
    // A pipe or a terminal is gone with the process.
    if !metadata.is_file() {
        return None;
    }
    let path = path.display();
    let cure = match exposure(&metadata)? {
        Exposure::OwnFile => format!("chmod 600 {path}"),
        Exposure::OthersFile => {
            format!("chmod 640 {path}, and give it a group of the server's own")
        }
    };
    Some(format!(
        "{path}: other users of this machine can read or change this file with a secret: {cure}"
    ))
}

/// How other users reach a file.
#[derive(Debug, PartialEq, Eq)]
enum Exposure {
    /// The server's user owns it, so nobody else needs any permission.
    OwnFile,
    /// Another user owns it, so the server may need the group's permission, but not everybody's.
    OthersFile,
}

impl Exposure {
    /// `mode`: the permission bits. `is_own`: whether the file belongs to the server's user.
    fn of(mode: u32, is_own: bool) -> Option<Self> {
        match is_own {
            true => (mode & 0o066 != 0).then_some(Self::OwnFile),
            false => (mode & 0o006 != 0).then_some(Self::OthersFile),
        }
    }
}

#[cfg(unix)]
fn exposure(metadata: &Metadata) -> Option<Exposure> {
    use std::os::unix::fs::MetadataExt;
    let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
    Exposure::of(metadata.mode(), is_own)
}

/// Other systems have no permission bits.
#[cfg(not(unix))]
fn exposure(_metadata: &Metadata) -> Option<Exposure> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kubernetes and packages give root's files to a group: that is no fault.
    #[test]
    fn a_group_may_read_the_file_of_another_user() {
        for mode in [0o400, 0o440, 0o600, 0o640] {
            assert_eq!(Exposure::of(mode, false), None, "{mode:o}");
        }
        for mode in [0o444, 0o604, 0o644, 0o642, 0o666] {
            let exposed = Some(Exposure::OthersFile);
            assert_eq!(Exposure::of(mode, false), exposed, "{mode:o}");
        }
    }
}
