//! The code in a guide for app developers, as files.

use std::{fs, os::unix::fs::symlink, path::Path, process::Stdio};

use tempfile::TempDir;
use tokio::process::Command;

use crate::stock::needs;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// The compiler options that the guides recommend: strict, for a browser and Node.js.
const TSCONFIG: &str = r#"{
  "compilerOptions": {
    "strict": true, "noUncheckedIndexedAccess": true, "verbatimModuleSyntax": true, "skipLibCheck": true,
    "target": "ES2022", "lib": ["ES2023", "DOM", "DOM.Iterable"], "types": ["node"],
    "module": "ESNext", "moduleResolution": "bundler", "jsx": "react-jsx", "outDir": "built"
  }
}"#;

/// A folder with the code of a page of `docs/clients`, and the packages of `tests/clients/js`.
pub(crate) struct Guide {
    folder: TempDir,
}

impl Guide {
    /// Each block of the page that names a file, with other addresses in it.
    pub(crate) fn open(page: &str, addresses: &[(&str, &str)]) -> Self {
        let guide = Self::empty();
        for block in blocks(page) {
            let Some(file) = block.file else { continue };
            let code = addresses
                .iter()
                .fold(block.code, |code, (from, to)| code.replace(from, to));
            fs::write(guide.path().join(file), code).unwrap();
        }
        guide
    }

    /// No code yet.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let packages = needs("js/node_modules/typescript");
        symlink(
            packages.parent().unwrap(),
            folder.path().join("node_modules"),
        )
        .unwrap();
        fs::write(folder.path().join("tsconfig.json"), TSCONFIG).unwrap();
        Self { folder }
    }

    /// A block of another page.
    pub(crate) fn with_block(self, page: &str, file: &str) -> Self {
        let mut blocks = blocks(page).into_iter();
        let block = blocks.find(|block| block.file.as_deref() == Some(file));
        fs::write(self.path().join(file), block.unwrap().code).unwrap();
        self
    }

    /// What app developers copy.
    pub(crate) fn with_helper(self) -> Self {
        self.with_files(&["client-demo/src/feed.ts", "client-demo/src/contract.ts"])
    }

    /// Files of this repository.
    pub(crate) fn with_files(self, files: &[&str]) -> Self {
        for file in files {
            let from = Path::new(REPOSITORY).join(file);
            let name = from.file_name().unwrap();
            fs::copy(&from, self.path().join(name)).unwrap();
        }
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The compiler's errors; its output is then in `built`.
    pub(crate) async fn compile(&self) -> Result<(), String> {
        let compiled = Command::new(needs("js/node_modules/.bin/tsc"))
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        match compiled.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&compiled.stdout).into_owned()),
        }
    }
}

/// The code between two fences.
pub(crate) struct Block {
    pub(crate) language: String,
    /// From the fence: ```` ```js file=NAME ````.
    pub(crate) file: Option<String>,
    code: String,
}

/// The blocks of a page of `docs/clients`.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let page = Path::new(REPOSITORY).join("docs/clients").join(page);
    let text = fs::read_to_string(page).unwrap();
    let fenced = text.split("\n```").skip(1).step_by(2);
    fenced.map(block).collect()
}

fn block(text: &str) -> Block {
    let (fence, code) = text.split_once('\n').unwrap();
    let (language, rest) = fence.split_once(' ').unwrap_or((fence, ""));
    Block {
        language: language.to_owned(),
        file: rest.strip_prefix("file=").map(str::to_owned),
        code: format!("{code}\n"),
    }
}
