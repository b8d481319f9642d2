//! A page of markdown, taken apart as far as the checks need it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A fenced block.
pub struct Block {
    /// Page and line, for messages.
    pub place: String,
    /// What is in it.
    pub text: String,
}

/// One page.
pub struct Page {
    /// Its path in the repository.
    pub name: String,
    text: String,
}

impl Page {
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), text }
    }

    pub fn readme() -> Self {
        Self::read("README.md")
    }

    /// The README and every page under `docs`.
    pub fn all() -> Vec<Self> {
        let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
        let names = docs.map(|name| format!("docs/{}", name.to_str().unwrap()));
        let mut names: Vec<String> =
            names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "md")).collect();
        names.sort();
        [Self::readme()].into_iter().chain(names.iter().map(|name| Self::read(name))).collect()
    }

    /// The folder that its links start from.
    pub fn folder(&self) -> PathBuf {
        root().join(&self.name).parent().unwrap().to_owned()
    }

    /// Lines with their number, their text, and the language of the block they stand in.
    fn lines(&self) -> Vec<(usize, &str, Option<&str>)> {
        let mut language = None;
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(self.text.lines()) {
            match (line.trim_start().strip_prefix("```"), language) {
                (Some(_), Some(_)) => language = None,
                (Some(name), None) => language = Some(name.trim()),
                (None, _) => lines.push((number, line, language)),
            }
        }
        lines
    }

    /// The blocks of a language.
    pub fn blocks(&self, language: &str) -> Vec<Block> {
        let mut blocks: Vec<(usize, Block)> = Vec::new();
        for (number, line, _) in self.lines().into_iter().filter(|(_, _, found)| *found == Some(language)) {
            match blocks.last_mut() {
                Some((last, block)) if *last + 1 == number => {
                    block.text.push_str(line);
                    block.text.push('\n');
                    *last = number;
                }
                _ => {
                    let place = format!("{}:{number}", self.name);
                    blocks.push((number, Block { place, text: format!("{line}\n") }));
                }
            }
        }
        blocks.into_iter().map(|(_, block)| block).collect()
    }

    /// What stands between backticks in running text.
    fn spans(&self) -> Vec<(usize, String)> {
        let mut spans = Vec::new();
        for (number, line, _) in self.lines().into_iter().filter(|(_, _, language)| language.is_none()) {
            spans.extend(line.split('`').skip(1).step_by(2).map(|span| (number, span.to_owned())));
        }
        spans
    }

    /// Lines of shell blocks and of recorded sessions, and commands in running text, without their comments.
    pub fn commands(&self) -> Vec<(String, String)> {
        let shell = self.lines().into_iter().filter_map(|(number, line, language)| match language? {
            "sh" | "" => Some((number, line.trim())),
            _ => Some((number, line.strip_prefix("$ ")?)),
        });
        let inline = self.spans();
        let inline = inline.iter().map(|(number, span)| (*number, span.as_str()));
        shell
            .chain(inline)
            .filter(|(_, line)| ["tagmill ", "cargo ", "make "].iter().any(|start| line.starts_with(start)))
            .map(|(number, line)| {
                let line = line.split(" #").next().unwrap_or_default().trim();
                (format!("{}:{number}", self.name), line.to_owned())
            })
            .collect()
    }

    /// The rows of the first table whose first head is this.
    pub fn table(&self, head: &str) -> Vec<Vec<String>> {
        let start = format!("| {head} |");
        let rows: Vec<Vec<String>> = self
            .text
            .lines()
            .skip_while(|line| !line.starts_with(&start))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
            .collect();
        assert!(!rows.is_empty(), "{} has no table of {head}", self.name);
        rows
    }

    /// Targets of links within the repository.
    pub fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for (_, line, _) in self.lines().into_iter().filter(|(_, _, language)| language.is_none()) {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            links.extend(targets.filter(|target| !target.contains("://")).map(str::to_owned));
        }
        links
    }

    /// Paths of the repository between backticks, and behind a flag of a command.
    pub fn paths(&self) -> Vec<String> {
        let commands = self.commands().into_iter().map(|(_, line)| line);
        let texts = self.spans().into_iter().map(|(_, span)| span).chain(commands);
        let words = texts.flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let ours = |word: &String| {
            ["src/", "tests/", "docs/", "examples/"].iter().any(|start| word.starts_with(start))
                && !word.contains(['<', '*'])
        };
        words.filter(ours).collect()
    }
}

/// The numbers of a text, with `ms` or `s` behind those that are times, as people and as code write them.
pub fn numbers(text: &str) -> Vec<String> {
    let text = text.replace('_', "").replace("frommillis(", "ms:");
    let text = text.replace("fromsecs(", "s:").replace("frommins(", "60*s:").replace("fromhours(", "3600*s:");
    let text = text.replace(" ms", "ms").replace(" s", "s");
    let mut found = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')')) {
        let (unit, digits) = match word.rsplit_once(':') {
            Some((before, digits)) if before.ends_with("ms") => ("ms", digits),
            Some((before, digits)) if before.ends_with('s') => ("s", digits),
            _ => match word.strip_suffix("ms") {
                Some(digits) => ("ms", digits),
                None => word.strip_suffix('s').map_or(("", word), |digits| ("s", digits)),
            },
        };
        let times = word.split_once('*').and_then(|(_, rest)| rest.split_once(':')).map_or(1.0, |_| {
            // `Duration::60*s:1` is a minute.
            let before = word.split('*').next().unwrap_or_default();
            let digits: String = before.chars().rev().take_while(char::is_ascii_digit).collect();
            digits.chars().rev().collect::<String>().parse().unwrap_or(1.0)
        });
        if let Ok(number) = digits.parse::<f64>() {
            let number = number * times;
            found.push(format!("{number}{unit}"));
        }
    }
    found
}
