//! JMESPath over a record, with bounds: on the path, on what it yields, and on what counts as an id.

use jmespath::{Expression, Variable, ast::Ast};
use serde_json::Value;
use std::fmt;

/// Characters of a path at most.
const LONGEST: usize = 512;
/// Steps of a path at most: each can pass the whole record on.
const STEPS: usize = 64;
/// Bytes of what `join` puts between at most.
const GLUE: usize = 16;
/// Ids of one event at most.
pub(super) const IDS: usize = 1_000;

/// A path that compiled.
#[derive(Clone)]
pub(super) struct Path {
    expression: Expression<'static>,
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.expression.as_str())
    }
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.expression.as_str() == other.expression.as_str()
    }
}

impl Path {
    /// Compiles a path, or says where it is wrong.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("a path has at most {LONGEST} characters"));
        }
        let expression = jmespath::compile(text).map_err(|error| {
            format!("no JMESPath: {}", error.to_string().lines().next().unwrap_or_default().trim_end_matches(':'))
        })?;
        let mut cost = Cost::default();
        cost.add(expression.as_ast());
        if cost.copies > 2 {
            return Err("at most two lists or objects are made of what a path finds".into());
        }
        if cost.steps > STEPS {
            return Err(format!("a path has at most {STEPS} steps"));
        }
        if cost.joins {
            return Err(format!("`join` takes a text of at most {GLUE} characters to put between, such as '-'"));
        }
        Ok(Self { expression })
    }

    /// The text of the path.
    pub(super) fn as_str(&self) -> &str {
        self.expression.as_str()
    }

    /// The ids it finds: text and numbers, also inside of lists; each once. Nothing counts as none.
    pub(super) fn ids(&self, record: &Variable) -> Result<Vec<String>, String> {
        let found = self.expression.search(record).map_err(|_| "the path cannot be followed".to_owned())?;
        let mut ids = Vec::new();
        collect(&found, &mut ids)?;
        Ok(ids)
    }
}

/// A record in the form that paths search.
pub(super) fn searchable(record: &Value) -> Option<Variable> {
    Variable::from_serializable(record).ok()
}

fn collect(found: &Variable, ids: &mut Vec<String>) -> Result<(), String> {
    let id = match found {
        Variable::Null => return Ok(()),
        Variable::String(text) => text.clone(),
        Variable::Number(number) => number.to_string(),
        Variable::Array(all) => return all.iter().try_for_each(|one| collect(one, ids)),
        _ => return Err("it finds something that is no text".into()),
    };
    if !id.is_empty() && !ids.contains(&id) {
        if ids.len() == IDS {
            return Err(format!("it finds more than {IDS} ids"));
        }
        ids.push(id);
    }
    Ok(())
}

/// What following a path can cost. Only a list or an object that it makes itself can hold the same thing twice, so only
/// these can make more of a record than there is.
#[derive(Default)]
struct Cost {
    steps: usize,
    copies: usize,
    /// `join` puts its first argument between all that is in its second: one text of a record as often as another has
    /// members.
    joins: bool,
}

impl Cost {
    fn add_all(&mut self, all: &[Ast]) {
        for one in all {
            self.add(one);
        }
    }

    fn add(&mut self, ast: &Ast) {
        self.steps += 1;
        match ast {
            Ast::Comparison { lhs, rhs, .. }
            | Ast::And { lhs, rhs, .. }
            | Ast::Or { lhs, rhs, .. }
            | Ast::Projection { lhs, rhs, .. }
            | Ast::Subexpr { lhs, rhs, .. } => {
                self.add(lhs);
                self.add(rhs);
            }
            Ast::Condition { predicate, then, .. } => {
                self.add(predicate);
                self.add(then);
            }
            Ast::Expref { ast, .. } => self.add(ast),
            Ast::Flatten { node, .. } | Ast::Not { node, .. } | Ast::ObjectValues { node, .. } => self.add(node),
            Ast::Function { name, args, .. } => {
                let is_short = |glue: &Ast| match glue {
                    Ast::Literal { value, .. } => value.as_string().is_some_and(|text| text.len() <= GLUE),
                    _ => false,
                };
                self.joins |= name == "join" && !args.first().is_some_and(is_short);
                self.add_all(args);
            }
            Ast::MultiList { elements, .. } => {
                self.copies += 1;
                self.add_all(elements);
            }
            Ast::MultiHash { elements, .. } => {
                self.copies += 1;
                for element in elements {
                    self.add(&element.value);
                }
            }
            Ast::Field { .. } | Ast::Identity { .. } | Ast::Index { .. } | Ast::Literal { .. } | Ast::Slice { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ids(path: &str, record: &Value) -> Result<Vec<String>, String> {
        Path::compile(path)?.ids(&searchable(record).unwrap())
    }

    #[test]
    fn ids_are_found_alone_and_in_lists_and_each_once() {
        let record = json!({"a":"1","b":["2",null,"2",["3"]],"c":{"d":4}});
        assert_eq!(ids("a", &record).unwrap(), ["1"]);
        assert_eq!(ids("b", &record).unwrap(), ["2", "3"]);
        assert_eq!(ids("[a, b, nothing][]", &record).unwrap(), ["1", "2", "3"]);
        assert_eq!(ids("c.d", &record).unwrap(), ["4"]);
        assert_eq!(ids("nothing.at.all", &record).unwrap(), Vec::<String>::new());
        assert_eq!(ids("c", &record).unwrap_err(), "it finds something that is no text");
    }

    #[test]
    fn what_a_path_yields_is_bounded() {
        let record = json!({ "a": (0..1_001).map(|n| n.to_string()).collect::<Vec<_>>() });
        assert_eq!(ids("a", &record).unwrap_err(), "it finds more than 1000 ids");
    }

    #[test]
    fn a_path_that_would_double_what_it_finds_again_and_again_is_refused() {
        let bomb = "[@,@]".to_owned() + &"|[@,@][]".repeat(30);
        assert!(Path::compile(&bomb).unwrap_err().contains("at most two lists"));
        assert!(Path::compile("join(a, b)").unwrap_err().contains("at most 16"));
        assert!(Path::compile("[*].join('-----------------', b)").unwrap_err().contains("at most 16"));
        let record = json!({"b":["1","2"]});
        assert_eq!(ids("join('-', b)", &record).unwrap(), ["1-2"]);
        assert!(Path::compile(&"a.".repeat(40)).is_err());
        assert!(Path::compile(&format!("{}a", "a.".repeat(70))).unwrap_err().contains("steps"));
        assert!(Path::compile("a[").unwrap_err().starts_with("no JMESPath"));
    }
}
