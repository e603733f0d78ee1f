//! Reading and writing: embedded tables and models, a user's files, and what a run leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use crate::failure::Failure;

static DATA: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../data");
static VALIDATION: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../validation");
static MODELS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../models");

/// No input of any kind needs more; a larger file is refused before it is read.
const LARGEST_INPUT_BYTES: u64 = 64 << 20;
/// Most bytes of all texts of a folder.
const LARGEST_FOLDER_BYTES: usize = 256 << 20;
/// Most files and folders in a folder.
const MOST_ENTRIES: usize = 20_000;
/// Folders are read this deep.
const DEEPEST_FOLDER: u32 = 4;

/// Texts by path relative to their root, in order of path.
pub type Texts = BTreeMap<String, String>;

/// The data that a command works on: built in, or a folder of the user's.
#[derive(Debug, Clone)]
pub struct Library {
    /// Content of `data/`.
    pub data: Texts,
    /// Content of `models/`: config.json files by `NAME.json`.
    pub models: Texts,
}

impl Library {
    /// The built-in data, or the folder given.
    ///
    /// # Errors
    /// A folder that cannot be read, or holds a text that is not UTF-8.
    pub fn open(folder: Option<&Path>) -> Result<Self, Failure> {
        let data = match folder {
            Some(folder) => {
                let texts = read_folder(folder)?;
                if !texts.contains_key("sources.toml") {
                    let mend = "name a folder like data/ of the project: tables (.csv), sources.toml, chips/";
                    return Err(Failure::input(folder, "the folder has no sources.toml", mend));
                }
                texts
            }
            None => embedded(&DATA),
        };
        Ok(Self { data, models: embedded(&MODELS) })
    }

    /// Texts of a kind, below a folder of `data/` ("" for the top).
    pub fn under<'a>(&'a self, folder: &'a str, extension: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.data.iter().filter_map(move |(path, text)| {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            (parent == folder && name.ends_with(extension)).then_some((name, text.as_str()))
        })
    }
}

/// The public tables of the project.
pub fn embedded_validation() -> Texts {
    embedded(&VALIDATION)
}

fn embedded(dir: &Dir<'_>) -> Texts {
    let mut out = Texts::new();
    let mut stack = vec![dir];
    while let Some(dir) = stack.pop() {
        stack.extend(dir.dirs());
        for file in dir.files() {
            if let Some(text) = file.contents_utf8() {
                out.insert(slashes(file.path()), text.to_owned());
            }
        }
    }
    out
}

fn slashes(path: &Path) -> String {
    path.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// All texts (`.csv`, `.toml`, `.json`) of a folder and its folders.
///
/// # Errors
/// A folder or file that cannot be read, a folder that holds more than any input does.
pub fn read_folder(root: &Path) -> Result<Texts, Failure> {
    let mut out = Texts::new();
    let mut stack = vec![(root.to_owned(), 0u32)];
    let mut seen = BTreeSet::new();
    let (mut entries, mut bytes) = (0usize, 0usize);
    while let Some((dir, depth)) = stack.pop() {
        let unreadable = |e: std::io::Error| Failure::input(&dir, &cause(&e), "name a folder that can be read");
        // A link to a folder that was read already, or that holds itself, adds nothing.
        if !seen.insert(fs::canonicalize(&dir).map_err(unreadable)?) {
            continue;
        }
        let mut paths =
            fs::read_dir(&dir).map_err(unreadable)?.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        paths.sort();
        entries = entries.saturating_add(paths.len());
        for path in paths {
            if path.is_dir() {
                if depth < DEEPEST_FOLDER {
                    stack.push((path, depth.saturating_add(1)));
                }
            } else if path.extension().is_some_and(|e| e == "csv" || e == "toml" || e == "json") {
                let text = read_text(&path)?;
                bytes = bytes.saturating_add(text.len());
                out.insert(slashes(path.strip_prefix(root).unwrap_or(&path)), text);
            }
            if entries > MOST_ENTRIES || bytes > LARGEST_FOLDER_BYTES {
                return Err(Failure::input(
                    root,
                    "the folder holds far more than input of this kind",
                    "name the folder of the files alone",
                ));
            }
        }
    }
    Ok(out)
}

/// A text file of the user's, without a byte order mark.
///
/// # Errors
/// A file that is not there, not a file, too large, or not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let unreadable = |e: std::io::Error| Failure::input(path, &cause(&e), "check the path");
    let meta = fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        let found = if meta.is_dir() { "this is a folder, not a file" } else { "this is not a regular file" };
        return Err(Failure::input(path, found, "name a file"));
    }
    let too_large =
        |found: &str| Failure::input(path, &format!("{found} bytes is larger than any input of this kind"), "name the right file");
    if meta.len() > LARGEST_INPUT_BYTES {
        return Err(too_large(&meta.len().to_string()));
    }
    let mut bytes = Vec::new();
    // The size may be wrong (files of the kernel) or grow: no more than the limit is ever read.
    fs::File::open(path).map_err(unreadable)?.take(LARGEST_INPUT_BYTES.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_INPUT_BYTES {
        return Err(too_large(&format!("more than {LARGEST_INPUT_BYTES}")));
    }
    let text = String::from_utf8(bytes)
        .map_err(|e| Failure::input(path, &format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to()), "save the file as UTF-8 text"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Cause of a failed access in words of the file system alone.
fn cause(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or folder".to_owned(),
        std::io::ErrorKind::NotADirectory => "this is not a folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "no permission to read or write this".to_owned(),
        _ => error.to_string(),
    }
}

/// Files written together: nothing appears under its final name before everything was written.
#[derive(Debug)]
pub struct Output {
    folder: PathBuf,
    made: bool,
    staged: Vec<(PathBuf, PathBuf)>,
}

impl Output {
    /// A folder to write into, made if it is not there.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn into(folder: &Path) -> Result<Self, Failure> {
        let made = !folder.exists();
        fs::create_dir_all(folder).map_err(|e| Failure::input(folder, &cause(&e), "name a folder that can be written"))?;
        Ok(Self { folder: folder.to_owned(), made, staged: Vec::new() })
    }

    /// Stages a file.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let (target, part) = (self.folder.join(name), self.folder.join(format!(".{name}.part")));
        // Listed first: a write that fails half way is cleared too.
        self.staged.push((part.clone(), target.clone()));
        fs::write(&part, bytes).map_err(|e| Failure::input(&target, &cause(&e), "free space or name another folder"))?;
        Ok(())
    }

    /// Puts all staged files in place.
    ///
    /// # Errors
    /// A file that cannot be renamed.
    pub fn finish(mut self) -> Result<(), Failure> {
        if let Some((_, target)) = self.staged.iter().find(|(_, target)| target.is_dir()) {
            return Err(Failure::input(target, "a folder has this name", "free the name"));
        }
        // What is not in place yet stays listed, so that a failure leaves no part behind.
        while let Some((part, target)) = self.staged.first() {
            fs::rename(part, target).map_err(|e| Failure::input(target, &cause(&e), "free the name"))?;
            self.staged.remove(0);
        }
        Ok(())
    }
}

/// Writes one file, whole or not at all.
///
/// # Errors
/// A name that is no file's, a file that cannot be written.
pub fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    let name = path.file_name().and_then(|n| n.to_str()).ok_or_else(|| Failure::input(path, "not a file name", "name a file"))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut output = Output::into(folder)?;
    output.write(name, text.as_bytes())?;
    output.finish()
}

impl Drop for Output {
    fn drop(&mut self) {
        for (part, _) in &self.staged {
            let _ = fs::remove_file(part);
        }
        if self.made && !self.staged.is_empty() {
            // Only an empty folder goes.
            let _ = fs::remove_dir(&self.folder);
        }
    }
}
