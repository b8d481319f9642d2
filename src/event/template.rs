//! Values and conditions of rules, in minijinja: over the event alone, with what they may cost bounded.

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, filters, value::ValueKind};
use std::fmt::{self, Debug};

/// Characters of a template at most.
const LONGEST: usize = 2_000;
/// Bytes of what a template makes at most; a tag's value has 256 characters.
const OUTPUT: usize = 2_048;
/// Instructions of one template at most.
const FUEL: u64 = 5_000;

/// The words that templates know. It holds no template and no event.
pub(super) struct Engine {
    environment: Environment<'static>,
}

impl Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

/// Why a template gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// What it names is not there, or is empty.
    Unresolved,
    /// It is wrong, or asks for too much.
    Failed(String),
}

impl Engine {
    pub(super) fn new() -> Self {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(50);
        environment.set_formatter(|out, _, value| match value.kind() {
            ValueKind::String | ValueKind::Number | ValueKind::Bool => {
                write!(out, "{value}").map_err(|_| Error::from(ErrorKind::WriteFailure))
            }
            ValueKind::Undefined | ValueKind::None => Err(Error::from(ErrorKind::UndefinedError)),
            kind => Err(Error::new(ErrorKind::InvalidOperation, format!("a {kind} is no tag value"))),
        });
        // Filters that make little of much, and nothing of little: none can grow a text but `replace`, which is bounded.
        environment.add_filter("default", filters::default);
        environment.add_filter("d", filters::default);
        environment.add_filter("lower", filters::lower);
        environment.add_filter("upper", filters::upper);
        environment.add_filter("trim", filters::trim);
        environment.add_filter("first", filters::first);
        environment.add_filter("last", filters::last);
        environment.add_filter("length", filters::length);
        environment.add_filter("split", filters::split);
        environment.add_filter("string", |value: Value| value.to_string());
        environment.add_filter("int", filters::int);
        environment.add_filter("replace", |text: String, from: String, to: String| -> Result<String, Error> {
            let found = if from.is_empty() { text.len() + 1 } else { text.matches(&from).count() };
            if text.len() + found * to.len() > OUTPUT * 8 {
                return Err(Error::new(ErrorKind::InvalidOperation, "the text would become too long"));
            }
            Ok(text.replace(&from, &to))
        });
        environment.add_test("defined", |value: &Value| !value.is_undefined());
        environment.add_test("undefined", Value::is_undefined);
        environment.add_test("none", Value::is_none);
        environment.add_test("string", |value: &Value| value.kind() == ValueKind::String);
        environment.add_test("startingwith", |text: &str, start: &str| text.starts_with(start));
        environment.add_test("endingwith", |text: &str, end: &str| text.ends_with(end));
        Self { environment }
    }

    /// Whether this is a template that can be used, or what is wrong with it.
    pub(super) fn check(&self, source: &str) -> Result<(), String> {
        bounded(source, false)?;
        for block in source.split("{%").skip(1) {
            let word: String = block
                .trim_start_matches(['-', '+'])
                .trim_start()
                .chars()
                .take_while(char::is_ascii_alphabetic)
                .collect();
            if !matches!(word.as_str(), "if" | "elif" | "else" | "endif") {
                return Err(format!("{{% {word} %}} is not for tags; there are if, elif, else and endif"));
            }
        }
        self.environment.template_from_str(source).map(|_| ()).map_err(|error| short(&error))
    }

    /// Whether this is a condition that can be used, or what is wrong with it.
    pub(super) fn check_condition(&self, source: &str) -> Result<(), String> {
        bounded(source, true)?;
        self.environment.compile_expression(source).map(|_| ()).map_err(|error| short(&error))
    }

    /// The text that a template makes of this context.
    pub(super) fn render(&self, source: &str, context: &Value) -> Result<String, Nothing> {
        let template = self.environment.template_from_str(source).map_err(|error| Nothing::Failed(short(&error)))?;
        let text = template.render(context).map_err(|error| match error.kind() {
            ErrorKind::UndefinedError => Nothing::Unresolved,
            _ => Nothing::Failed(short(&error)),
        })?;
        if text.len() > OUTPUT {
            return Err(Nothing::Failed(format!("it makes a text of {} bytes", text.len())));
        }
        let text = text.trim();
        if text.is_empty() { Err(Nothing::Unresolved) } else { Ok(text.to_owned()) }
    }

    /// Whether a condition holds in this context. What is not there is false.
    pub(super) fn holds(&self, source: &str, context: &Value) -> Result<bool, String> {
        let expression = self.environment.compile_expression(source).map_err(|error| short(&error))?;
        expression.eval(context).map(|value| value.is_true()).map_err(|error| short(&error))
    }
}

fn bounded(source: &str, condition: bool) -> Result<(), String> {
    if source.len() > LONGEST {
        return Err(format!("at most {LONGEST} characters"));
    }
    // `"x" * 100000000` is one instruction.
    let multiplies = |code: &str| code.split(['"', '\'']).step_by(2).any(|outside| outside.contains('*'));
    let blocks = source.split("{{").skip(1).chain(source.split("{%").skip(1));
    let mut blocks = blocks.map(|block| block.split("}}").next().unwrap_or_default());
    let mut blocks = blocks.by_ref().map(|block| block.split("%}").next().unwrap_or_default());
    if blocks.any(multiplies) || (condition && multiplies(source)) {
        return Err("nothing can be multiplied here".into());
    }
    Ok(())
}

/// What is wrong, without what the event holds.
fn short(error: &Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "it does too much work".into(),
        (
            ErrorKind::SyntaxError | ErrorKind::UnknownFilter | ErrorKind::UnknownFunction | ErrorKind::UnknownTest,
            Some(detail),
        ) => detail.to_owned(),
        (kind, _) => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn render(source: &str) -> Result<String, Nothing> {
        let engine = Engine::new();
        engine.check(source).map_err(Nothing::Failed)?;
        let record = serde_json::json!({"name":"Web","list":[1,2],"none":null,"big":"a".repeat(10_000)});
        engine.render(source, &context! { creator => "alice", event => Value::from(minijinja::value::Serde(&record)) })
    }

    #[test]
    fn values_resolve_or_are_left_out() {
        assert_eq!(render("{{ creator }}").unwrap(), "alice");
        assert_eq!(render("team-{{ event.name | lower }}").unwrap(), "team-web");
        assert_eq!(render("fixed").unwrap(), "fixed");
        assert_eq!(render("{{ event.list[1] }}").unwrap(), "2");
        assert_eq!(render("{{ event.no.such.thing | default('x') }}").unwrap(), "x");
        assert_eq!(render("{% if event.name == 'Web' %}a{% else %}b{% endif %}").unwrap(), "a");
        for gone in ["{{ event.no.such.thing }}", "{{ nobody }}", "{{ event.none }}", "x-{{ nobody }}", "  ", ""] {
            assert_eq!(render(gone), Err(Nothing::Unresolved), "{gone}");
        }
        assert!(matches!(render("{{ event.list }}"), Err(Nothing::Failed(_))), "a list is no value");
    }

    #[test]
    fn a_template_that_wants_too_much_is_refused_or_ends_early() {
        for bomb in [
            "{{ 'x' * 100000000 }}",
            "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
            "{% set a = 'x' %}{{ a }}",
            "{% macro a() %}{% endmacro %}",
            "{{ event.big }}",
            "{{ event.big | replace('a', 'aaaaaaaaaa') }}",
            "{{ event.big | replace('', 'aaaaaaaaaa') }}",
            &"{{ 'a' }}".repeat(500),
        ] {
            assert!(matches!(render(bomb), Err(Nothing::Failed(_))), "{}", &bomb[..bomb.len().min(60)]);
        }
        // A star inside of quotes is no multiplication.
        assert_eq!(render("{{ '*' ~ creator }}").unwrap(), "*alice");
        assert_eq!(render("a*b").unwrap(), "a*b");
        assert!(Engine::new().check_condition("'x' * 9 == creator").is_err());
    }

    #[test]
    fn a_template_reaches_nothing_but_the_event() {
        for outside in ["{{ range(3) }}", "{{ dict() }}", "{{ debug() }}", "{% include 'x' %}", "{{ creator | safe }}"]
        {
            assert!(matches!(render(outside), Err(Nothing::Failed(_) | Nothing::Unresolved)), "{outside}");
        }
    }

    #[test]
    fn a_condition_over_what_is_not_there_is_false() {
        let engine = Engine::new();
        let holds = |source: &str| engine.holds(source, &context! { creator => "alice" });
        assert_eq!(holds("creator == 'alice'"), Ok(true));
        assert_eq!(holds("event.a.b.c == 'x'"), Ok(false));
        assert_eq!(holds("creator is startingwith 'al' and creator not in ['bob']"), Ok(true));
        assert_eq!(holds("nobody"), Ok(false));
        assert!(engine.check_condition("creator ==").is_err());
    }
}
