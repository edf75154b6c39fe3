//! A pseudo-terminal, for what a command shows on a screen.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::fd::OwnedFd,
    os::unix::fs::OpenOptionsExt,
    process::Stdio,
};

use rustix::{
    fs::OFlags,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use tokio::process::Command;

/// The most bytes that one read takes.
const READ_BYTES: usize = 4096;

/// Runs a command whose stdout and stderr are a terminal, and returns its exit code and what the terminal received.
pub(crate) async fn shown_on_a_terminal(mut command: Command) -> (Option<i32>, String) {
    let (screen, user) = terminal();
    command.stdout(copy(&user)).stderr(copy(&user));
    let mut process = command.spawn().unwrap();
    // The terminal ends once nobody has it open.
    drop((command, user));
    let text = tokio::task::spawn_blocking(move || received(screen));
    let code = process.wait().await.unwrap().code();
    (code, String::from_utf8(text.await.unwrap()).unwrap())
}

/// Both sides of a terminal that changes no byte.
fn terminal() -> (File, OwnedFd) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let user = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOCTTY.bits().cast_signed())
        .open(name.to_str().unwrap())
        .unwrap();
    let mut settings = tcgetattr(&user).unwrap();
    settings.make_raw();
    tcsetattr(&user, OptionalActions::Now, &settings).unwrap();
    (screen.into(), user.into())
}

fn copy(user: &OwnedFd) -> Stdio {
    user.try_clone().unwrap().into()
}

/// All bytes until the terminal ends, which a read reports as an error.
fn received(mut screen: File) -> Vec<u8> {
    let (mut text, mut buffer) = (Vec::new(), [0; READ_BYTES]);
    loop {
        match screen.read(&mut buffer) {
            Ok(0) => return text,
            Ok(read) => text.extend(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return text,
        }
    }
}
