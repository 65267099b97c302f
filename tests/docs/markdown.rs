//! Reads the parts of a Markdown document that the tests check.

use std::path::Path;

pub struct Document {
    /// Relative to the repository.
    pub path: String,
    pub text: String,
}

/// A fenced code block.
#[derive(Clone)]
pub struct Block {
    pub language: String,
    /// The text of the HTML comment directly above the block.
    pub marker: Option<String>,
    pub text: String,
    /// The line of the opening fence, from 1.
    pub line: usize,
}

impl Document {
    pub fn read(repository: &Path, path: &str) -> Self {
        let text = std::fs::read_to_string(repository.join(path)).unwrap();
        Self { path: path.to_owned(), text }
    }

    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut marker = None;
        let mut lines = self.text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            if let Some(language) = line.strip_prefix("```") {
                let body: Vec<_> = lines
                    .by_ref()
                    .map(|(_, line)| line)
                    .take_while(|&line| line != "```")
                    .collect();
                let (language, text) = (language.to_owned(), body.join("\n"));
                blocks.push(Block { language, marker: marker.take(), text, line: index + 1 });
            } else if let Some(comment) = line.strip_prefix("<!-- ") {
                marker = comment.strip_suffix(" -->").map(str::to_owned);
            } else if !line.is_empty() {
                marker = None;
            }
        }
        blocks
    }

    /// Returns the text without code blocks.
    fn prose(&self) -> String {
        let mut is_code = false;
        let is_prose = |line: &&str| {
            let is_fence = line.starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence
        };
        self.text.lines().filter(is_prose).collect::<Vec<_>>().join("\n")
    }

    /// Returns the targets of links to files and headings.
    pub fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
    }

    /// Returns the paths of source files in backticks, such as `src/lib.rs`, `tests/chaos` or `measure/sum.rs`.
    pub fn source_paths(&self) -> Vec<String> {
        let prose = self.prose();
        let quoted = prose.split('`').skip(1).step_by(2);
        let is_path = |text: &&str| {
            let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            let is_rooted = ["src/", "tests/", "benches/", "examples/", "docs/", "proto/"];
            is_word
                && (is_rooted.iter().any(|root| text.starts_with(root))
                    || text.contains('/') && text.ends_with(".rs"))
        };
        quoted.filter(is_path).filter(|path| !path.contains("NAME")).map(str::to_owned).collect()
    }
}

/// Returns the long flags in a text: `--` and lower-case words.
pub fn flags(text: &str) -> Vec<String> {
    let mut flags = Vec::new();
    let mut before = ' ';
    let mut rest = text;
    while let Some(at) = rest.find("--") {
        let previous = rest[..at].chars().next_back().unwrap_or(before);
        let name = &rest[at + 2..];
        let end = name
            .find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
            .unwrap_or(name.len());
        let name_text = name[..end].trim_end_matches('-');
        let is_start = !(previous.is_ascii_alphanumeric()
            || previous == '-'
            || previous == '!'
            || previous == '#');
        if is_start && name_text.starts_with(|c: char| c.is_ascii_lowercase()) {
            flags.push(format!("--{name_text}"));
        }
        before = name[..end].chars().next_back().unwrap_or('-');
        rest = &name[end..];
    }
    flags
}

/// Returns the anchors that GitHub makes of the headings of a document.
pub fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let is_kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
        heading.chars().filter(is_kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}
