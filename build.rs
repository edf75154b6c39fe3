//! With the feature `page`, embeds the demo's page, `client-demo/dist`, in the binary. Without it, does nothing.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_PAGE").is_none() {
        return Ok(());
    }
    println!("cargo::rerun-if-changed=client-demo/dist");
    let page = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("client-demo/dist");
    if !page.join("index.html").is_file() {
        println!("cargo::error=client-demo/dist has no index.html: run `make page` first");
        return Ok(());
    }
    let mut files = files(&page)?;
    files.sort();
    let mut code = "&[\n".to_owned();
    for file in files {
        let parts = file.strip_prefix(&page)?.iter();
        let parts: Option<Vec<_>> = parts.map(|part| part.to_str()).collect();
        let name = parts.ok_or("the name of a file of the page is not UTF-8")?;
        let name = name.join("/");
        writeln!(code, "    ({name:?}, include_bytes!({file:?})),")?;
    }
    code.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("page_files.rs"), code)?;
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
