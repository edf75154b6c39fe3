use std::{
    env,
    process::{Command, Stdio},
};

/// Opens a link in the browser if there is a screen. Best effort: the link is printed as well.
pub(super) fn open(link: &str) {
    let Some(mut command) = opener() else { return };
    let quiet = command
        .arg(link)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Ok(mut child) = quiet.spawn() {
        // The child must be waited for, or it stays a zombie. A browser that it starts may outlive the demo.
        std::thread::spawn(move || child.wait());
    }
}

fn opener() -> Option<Command> {
    if cfg!(target_os = "macos") {
        return Some(Command::new("open"));
    }
    if cfg!(windows) {
        return Some(Command::new("explorer"));
    }
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let has_screen = is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    has_screen.then(|| Command::new("xdg-open"))
}
