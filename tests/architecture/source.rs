//! Rust source as far as its paths go: comments, texts and test-only code are left out, `use` trees are taken apart.

/// One path that the code names, resolved to the crate's root where it begins with `crate`, `self` or `super`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub line: usize,
    /// Whether it leads into this crate.
    pub ours: bool,
    pub parts: Vec<String>,
}

impl Path {
    pub fn text(&self) -> String {
        self.parts.join("::")
    }

    /// Whether the path is this one or leads further into it.
    pub fn is_in(&self, prefix: &str) -> bool {
        let mut parts = self.parts.iter();
        prefix.split("::").all(|part| parts.next().is_some_and(|own| own == part))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Colons,
    Sign(char),
}

/// A file taken apart.
pub struct Source {
    tokens: Vec<(usize, Token)>,
    /// Modules that are compiled for tests only: `#[cfg(test)] mod tests;`.
    pub test_modules: Vec<String>,
}

impl Source {
    pub fn new(text: &str) -> Self {
        let (tokens, test_modules) = without_tests(&tokens(text));
        Self { tokens, test_modules }
    }

    /// Every path of two parts or more, and every word that stands alone, seen from `module` (`["plan", "table"]`).
    pub fn paths(&self, module: &[String]) -> Vec<Path> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            match &self.tokens[at].1 {
                // What follows a dot is a method or a field.
                Token::Sign('.') => at += 2,
                Token::Word(_) => at = self.tree(at, None, module, &mut found),
                _ => at += 1,
            }
        }
        found
    }

    /// Reads one use tree or path that begins at `at`; returns where it ends.
    fn tree(&self, mut at: usize, prefix: Option<&Path>, module: &[String], found: &mut Vec<Path>) -> usize {
        let line = self.tokens[at].0;
        let mut path = prefix.cloned().unwrap_or(Path { line, ours: false, parts: Vec::new() });
        path.line = line;
        loop {
            match self.tokens.get(at).map(|(_, token)| token) {
                Some(Token::Word(word)) => push(&mut path, word, prefix.is_none(), module),
                Some(Token::Sign('*')) => path.parts.push("*".to_owned()),
                Some(Token::Sign('{')) if !path.parts.is_empty() || path.ours => {
                    at += 1;
                    while !matches!(self.tokens.get(at), None | Some((_, Token::Sign('}')))) {
                        at = match self.tokens[at].1 {
                            Token::Word(_) | Token::Sign('*' | '{') => self.tree(at, Some(&path), module, found),
                            _ => at + 1,
                        };
                    }
                    return at + 1;
                }
                _ => break,
            }
            at += 1;
            if self.tokens.get(at).is_some_and(|(_, token)| *token == Token::Colons) {
                at += 1;
            } else {
                break;
            }
        }
        found.push(path);
        at
    }
}

fn push(path: &mut Path, word: &str, may_begin: bool, module: &[String]) {
    let first = path.parts.is_empty() && !path.ours && may_begin;
    match word {
        "crate" if first => path.ours = true,
        "self" if first => (path.ours, path.parts) = (true, module.to_vec()),
        "super" if first => (path.ours, path.parts) = (true, module[..module.len().saturating_sub(1)].to_vec()),
        // `super::super` and `self` inside braces.
        "super" => drop(path.parts.pop()),
        "self" => {}
        _ => path.parts.push(word.to_owned()),
    }
}

fn tokens(text: &str) -> Vec<(usize, Token)> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let rest = &chars[at..];
        let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
        let length = match rest {
            ['/', '/', ..] => rest.iter().take_while(|c| **c != '\n').count(),
            ['/', '*', ..] => block_comment(rest),
            ['"', ..] => 1 + quoted(&rest[1..], '"'),
            ['r', '"' | '#', ..] if raw_text(rest).is_some() => raw_text(rest).unwrap_or(1),
            ['b' | 'c', 'r', '"' | '#', ..] if raw_text(&rest[1..]).is_some() => 1 + raw_text(&rest[1..]).unwrap_or(1),
            // A character, not a lifetime.
            ['\'', '\\', ..] => 1 + quoted(&rest[1..], '\''),
            ['\'', _, '\'', ..] => 3,
            ['\'', ..] => 1 + rest[1..].iter().take_while(|c| is_word(c)).count(),
            [':', ':', ..] => {
                out.push((line, Token::Colons));
                2
            }
            [c, ..] if is_word(c) => {
                let word: String = rest.iter().take_while(|c| is_word(c)).collect();
                let length = word.chars().count();
                out.push((line, Token::Word(word)));
                length
            }
            [c, ..] => {
                if !c.is_whitespace() {
                    out.push((line, Token::Sign(*c)));
                }
                1
            }
            [] => break,
        };
        line += rest[..length].iter().filter(|c| **c == '\n').count();
        at += length;
    }
    out
}

/// The length of a text up to and with its closing quote.
fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 0;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The length of a raw text, if that is what begins here: `r#type` is a word.
fn raw_text(rest: &[char]) -> Option<usize> {
    let marks = rest[1..].iter().take_while(|c| **c == '#').count();
    (rest.get(1 + marks) == Some(&'"')).then_some(())?;
    let begin = marks + 2;
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', marks)).collect();
    let length = rest[begin..].windows(end.len()).position(|window| window == end)?;
    Some(begin + length + end.len())
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Drops every item under `#[cfg(test)]`, and names the modules among them that are files of their own.
fn without_tests(tokens: &[(usize, Token)]) -> (Vec<(usize, Token)>, Vec<String>) {
    let word = |text: &str| Token::Word(text.to_owned());
    let mark = [
        Token::Sign('#'),
        Token::Sign('['),
        word("cfg"),
        Token::Sign('('),
        word("test"),
        Token::Sign(')'),
        Token::Sign(']'),
    ];
    let mut kept = Vec::new();
    let mut modules = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let here = tokens[at..].iter().map(|(_, token)| token);
        if !here.clone().take(mark.len()).eq(mark.iter()) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        // The item ends with a semicolon outside all brackets or with the brace that closes its body.
        let mut depth = 0_i32;
        let mut last = Vec::new();
        at += mark.len();
        while let Some((_, token)) = tokens.get(at) {
            at += 1;
            match token {
                Token::Sign('{' | '(' | '[') => depth += 1,
                Token::Sign(')' | ']') => depth -= 1,
                Token::Sign('}') => {
                    depth -= 1;
                    // A `use` tree ends with its semicolon.
                    if depth == 0 && !last.contains(&word("use")) {
                        break;
                    }
                }
                Token::Sign(';') if depth == 0 => {
                    if let [.., Token::Word(module), Token::Word(name)] = last.as_slice()
                        && module == "mod"
                    {
                        modules.push(name.clone());
                    }
                    break;
                }
                other if depth == 0 => last.push(other.clone()),
                _ => {}
            }
        }
    }
    (kept, modules)
}
