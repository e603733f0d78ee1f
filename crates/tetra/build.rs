//! Embedded folders: a changed table rebuilds the binary.

fn main() {
    for folder in ["../../data", "../../models", "../../validation", "assets"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
