//! The source files of a crate, and which of them import which.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{
    Attribute, ExprPath, File, ImplItem, Item, ItemUse, Macro, UseTree, Visibility,
    visit::{self, Visit},
};

use crate::support::files::files;

/// A module's path from the crate's root.
pub(super) type Module = Vec<String>;

/// All files below a folder, by their module.
pub(super) struct Sources {
    files: BTreeMap<Module, Source>,
}

struct Source {
    /// The file's path, for messages.
    name: String,
    /// What its `use` items bring into scope: a name, its full path, and whether it is re-exported.
    imports: Vec<Import>,
    /// All other paths in its code.
    paths: Vec<Vec<String>>,
    /// The types that it defines.
    types: Vec<String>,
}

struct Import {
    name: String,
    path: Vec<String>,
    is_reexport: bool,
}

impl Sources {
    /// Parses every file below `folder`, without code for tests.
    pub(super) fn read(folder: &Path) -> Self {
        let texts = texts(folder);
        Self::parse(
            texts
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str())),
        )
    }

    /// Parses files from pairs of a path, relative to the crate's root, and a text.
    pub(super) fn parse<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let files = files.map(|(name, text)| {
            let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (module_of(name), Source::new(name, &file))
        });
        let sources = Self {
            files: files.collect(),
        };
        assert!(!sources.files.is_empty(), "there is code to check");
        sources
    }

    /// For each file, the files that it imports, besides what it re-exports.
    pub(super) fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        self.imports_where(|import| !import.is_reexport)
    }

    /// For each file, the files that it imports or re-exports.
    pub(super) fn all_imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        self.imports_where(|_| true)
    }

    fn imports_where(&self, counts: fn(&Import) -> bool) -> BTreeMap<&str, BTreeSet<&str>> {
        let imports = self.files.iter().map(|(module, source)| {
            let uses = source.imports.iter().filter(|import| counts(import));
            let paths = uses.map(|import| &import.path).chain(&source.paths);
            let files = paths.filter_map(|path| self.file_of(module, path, 0));
            let others = files.filter(|file| *file != source.name);
            (source.name.as_str(), others.collect())
        });
        imports.collect()
    }

    /// The files that define each type name.
    pub(super) fn types(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut types: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for source in self.files.values() {
            for name in &source.types {
                types.entry(name).or_default().insert(&source.name);
            }
        }
        types
    }

    /// The file that defines what `path` names in `module`; `None` for other crates and local names.
    fn file_of(&self, module: &Module, path: &[String], depth: usize) -> Option<&str> {
        assert!(depth < 20, "the re-exports of {path:?} are circular");
        let (first, rest) = path.split_first()?;
        let (mut at, rest) = match first.as_str() {
            "crate" => (Module::new(), rest),
            "self" => (module.clone(), rest),
            "super" => (parent(module)?, rest),
            name if self.files.contains_key(&child(module, name)) => (child(module, name), rest),
            name => {
                let import = self.import_of(module, name)?;
                let path: Vec<String> = import.iter().chain(rest).cloned().collect();
                return self.file_of(module, &path, depth + 1);
            }
        };
        for (index, name) in rest.iter().enumerate() {
            if name == "super" {
                at = parent(&at)?;
            } else if self.files.contains_key(&child(&at, name)) {
                at = child(&at, name);
            } else {
                return match self.import_of(&at, name) {
                    Some(import) => {
                        let after = &rest[index + 1..];
                        let path: Vec<String> = import.iter().chain(after).cloned().collect();
                        self.file_of(&at, &path, depth + 1)
                    }
                    None => Some(&self.files.get(&at)?.name),
                };
            }
        }
        Some(&self.files.get(&at)?.name)
    }

    fn import_of(&self, module: &Module, name: &str) -> Option<&Vec<String>> {
        let source = self.files.get(module)?;
        let import = source.imports.iter().find(|import| import.name == name)?;
        // `use x;` of another crate names itself.
        (import.path.first().map(String::as_str) != Some(name)).then_some(&import.path)
    }
}

impl Source {
    fn new(name: &str, file: &File) -> Self {
        let mut source = Self {
            name: name.to_owned(),
            imports: Vec::new(),
            paths: Vec::new(),
            types: Vec::new(),
        };
        source.visit_file(file);
        source
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String], is_reexport: bool) {
        let with = |name: &str| [prefix, &[name.to_owned()]].concat();
        match tree {
            UseTree::Path(path) => {
                self.import(&path.tree, &with(&path.ident.to_string()), is_reexport);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix, is_reexport);
                }
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                let (name, path) = match (name.as_str(), prefix.last()) {
                    ("self", Some(module)) => (module.clone(), prefix.to_vec()),
                    _ => (name.clone(), with(&name)),
                };
                self.imports.push(Import {
                    name,
                    path,
                    is_reexport,
                });
            }
            UseTree::Rename(rename) => self.imports.push(Import {
                name: rename.rename.to_string(),
                path: with(&rename.ident.to_string()),
                is_reexport,
            }),
            UseTree::Glob(_) => {
                let is_ours = prefix
                    .first()
                    .is_some_and(|first| ["crate", "self", "super"].contains(&first.as_str()));
                assert!(!is_ours, "{}: a glob hides what is imported", self.name);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        match item {
            Item::Struct(item) => self.types.push(item.ident.to_string()),
            Item::Enum(item) => self.types.push(item.ident.to_string()),
            Item::Trait(item) => self.types.push(item.ident.to_string()),
            Item::Type(item) => self.types.push(item.ident.to_string()),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let is_test = matches!(item, ImplItem::Fn(item) if is_for_tests(&item.attrs));
        if !is_test {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        self.import(&item.tree, &[], is_reexport);
    }

    /// A single name is a variable or a function, and never a module.
    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        if path.path.segments.len() > 1 || is_type_or_constant(&path.path) {
            visit::visit_expr_path(self, path);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter();
            self.paths
                .push(segments.map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    /// `pub(super)` names a module without importing it.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    /// The code in a macro's arguments is not parsed, so its paths are found by their tokens.
    fn visit_macro(&mut self, mac: &'ast Macro) {
        let tokens = mac.tokens.to_string().replace(" :: ", "::");
        let words = tokens.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let paths = words.filter(|word| word.contains("::") && !word.starts_with("::"));
        for path in paths {
            let segments = path.split("::").filter(|segment| !segment.is_empty());
            self.paths.push(segments.map(str::to_owned).collect());
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        attribute.path().is_ident("cfg") && list.is_ok_and(|cfg| cfg.tokens.to_string() == "test")
    })
}

fn is_type_or_constant(path: &syn::Path) -> bool {
    let name = path.get_ident().map(ToString::to_string);
    name.is_some_and(|name| name.starts_with(char::is_uppercase))
}

/// The files below `folder` with their texts. Files of tests stand beside what they test, and are left out.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let files = files(folder, "rs").into_iter().map(|path| {
        let name = path.strip_prefix(folder).unwrap();
        let name = name.to_str().unwrap().replace('\\', "/");
        (name, fs::read_to_string(&path).unwrap())
    });
    files
        .filter(|(name, _)| !name.ends_with("/tests.rs"))
        .collect()
}

/// `feed/tail.rs` is `feed::tail`, `feed/mod.rs` is `feed`, and `lib.rs` is the root. `main.rs` is the root of another
/// crate, whose modules stand in the same folder.
fn module_of(name: &str) -> Module {
    let name = name.trim_end_matches(".rs").trim_end_matches("/mod");
    match name {
        "lib" => Module::new(),
        name => name.split('/').map(str::to_owned).collect(),
    }
}

fn parent(module: &Module) -> Option<Module> {
    let (_, parent) = module.split_last()?;
    Some(parent.to_vec())
}

fn child(module: &Module, name: &str) -> Module {
    [module.as_slice(), &[name.to_owned()]].concat()
}
