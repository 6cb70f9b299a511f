//! The language of a source file, by its name. Pure.

/// Endings and their languages, as GitHub names them.
const ENDINGS: [(&str, &str); 62] = [
    ("adoc", "AsciiDoc"),
    ("astro", "Astro"),
    ("bash", "Shell"),
    ("c", "C"),
    ("cc", "C++"),
    ("cjs", "JavaScript"),
    ("clj", "Clojure"),
    ("cpp", "C++"),
    ("cs", "C#"),
    ("css", "CSS"),
    ("cu", "Cuda"),
    ("cxx", "C++"),
    ("dart", "Dart"),
    ("ex", "Elixir"),
    ("exs", "Elixir"),
    ("fs", "F#"),
    ("go", "Go"),
    ("gradle", "Gradle"),
    ("h", "C"),
    ("hcl", "HCL"),
    ("hpp", "C++"),
    ("hs", "Haskell"),
    ("htm", "HTML"),
    ("html", "HTML"),
    ("ipynb", "Jupyter Notebook"),
    ("java", "Java"),
    ("jl", "Julia"),
    ("js", "JavaScript"),
    ("json", "JSON"),
    ("jsx", "JavaScript"),
    ("kt", "Kotlin"),
    ("kts", "Kotlin"),
    ("lua", "Lua"),
    ("m", "Objective-C"),
    ("md", "Markdown"),
    ("mjs", "JavaScript"),
    ("ml", "OCaml"),
    ("nix", "Nix"),
    ("php", "PHP"),
    ("pl", "Perl"),
    ("proto", "Protocol Buffer"),
    ("ps1", "PowerShell"),
    ("py", "Python"),
    ("r", "R"),
    ("rb", "Ruby"),
    ("rs", "Rust"),
    ("rst", "reStructuredText"),
    ("scala", "Scala"),
    ("scss", "SCSS"),
    ("sh", "Shell"),
    ("sql", "SQL"),
    ("svelte", "Svelte"),
    ("swift", "Swift"),
    ("tex", "TeX"),
    ("tf", "HCL"),
    ("toml", "TOML"),
    ("ts", "TypeScript"),
    ("tsx", "TypeScript"),
    ("vue", "Vue"),
    ("yaml", "YAML"),
    ("yml", "YAML"),
    ("zig", "Zig"),
];

/// Whole names and their languages.
const NAMES: [(&str, &str); 6] = [
    ("cmakelists.txt", "CMake"),
    ("dockerfile", "Dockerfile"),
    ("gemfile", "Ruby"),
    ("justfile", "Just"),
    ("makefile", "Makefile"),
    ("rakefile", "Ruby"),
];

/// The language of the file at a path; none where its name does not tell.
pub(crate) fn language(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let whole = NAMES.iter().find(|(known, _)| *known == name);
    let ending = || {
        let (_, ending) = name.rsplit_once('.')?;
        ENDINGS.iter().find(|(known, _)| *known == ending)
    };
    whole.or_else(ending).map(|(_, language)| *language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_language_by_its_name() {
        for (path, expected) in [
            ("src/main.rs", Some("Rust")),
            ("a/Makefile", Some("Makefile")),
            ("CMakeLists.txt", Some("CMake")),
            ("web/App.TSX", Some("TypeScript")),
            ("LICENSE", None),
            ("notes.txt", None),
            (".rs/x", None),
        ] {
            assert_eq!(language(path), expected, "{path}");
        }
    }
}
