//! Puts the demo's page into the binary: `client-demo/dist` where it was built (`make page`), else the bare
//! page of `client-demo/src`, which follows its account without the Socket.IO client.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    // The folder, not `dist`: cargo takes a missing path for one that has changed.
    println!("cargo::rerun-if-changed=client-demo");
    if env::var_os("CARGO_FEATURE_CLI").is_none() {
        return Ok(());
    }
    let demo = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("client-demo");
    let built = demo.join("dist");
    let page = if built.join("index.html").exists() {
        built
    } else {
        demo.join("src")
    };
    let mut files = Vec::new();
    for file in fs::read_dir(page)? {
        files.push(file?.path());
    }
    files.sort();
    let mut code = "&[\n".to_owned();
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or("a file of the page has no name in UTF-8")?;
        writeln!(code, "    ({name:?}, include_bytes!({path:?})),")?;
    }
    code.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("page_files.rs"), code)?;
    Ok(())
}
